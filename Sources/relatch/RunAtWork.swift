import Audit
import Rotation
import Storage
import Vault

extension VaultView {
  /// Who is at work on `credential` now, for a person; nil if nobody is, as far as can be told from here.
  func runAtWork(on credential: Credential, now: Timestamp) throws -> String? {
    guard let held = try leaseHolder(of: RotationRunner.leaseName(of: credential)), held.expires > now.milliseconds,
      !RunHolder.isGone(RotationRunner.process(holding: held.holder).words)
    else { return nil }
    return RotationRunner.briefly(held.holder)
  }
}
