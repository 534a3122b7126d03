import Providers
import Rotation

extension ProviderKind {
  /// Checks settings that somebody has just given and that no credential has yet. `isSelf` says whether the credential
  /// that is to have them would administer itself. Throws as `check` does.
  static func checkGiven(_ settings: [String: String], isSelf: Bool) throws(ProviderError) {
    do { try check(settings) } catch {
      throw ProviderError(
        error.code, error.description,
        hint: error.hint ?? "`relatch provider show \(descriptor.id)` says what each setting is", step: error.step)
    }
    guard isSelf, descriptor.canRotate(settings), !mayAdministerItself(settings) else { return }
    throw ProviderError(
      .configuration, "a credential of provider \(descriptor.id) that is to be rotated cannot administer itself",
      hint: "name another credential with --admin: `relatch provider show \(descriptor.id)` says which", step: .admin)
  }
}
