import Providers
import Rotation
import Vault

// What the kind of its provider says of a credential.
extension Credential {
  /// Whether it has something to rotate and is rotated from this vault.
  var isRotatedHere: Bool { canRotate && !isTransferred }

  /// Whether it has what its provider needs to rotate it. Otherwise it can only be used.
  var canRotate: Bool { (try? providerKind(provider))?.descriptor.canRotate(settings) ?? false }

  /// The first setting that its provider needs to rotate it and that it lacks; nil if it lacks none.
  var missingToRotate: String? {
    (try? providerKind(provider))?.descriptor.missing(in: settings).first?.key
  }

  /// What a person does at its provider by hand; nil if nobody is needed.
  var byHand: String? { (try? providerKind(provider))?.descriptor.byHand }

  /// What tries its pair. `plan` does not look at a credential that is only used.
  var trial: String {
    guard !canRotate else { return "`relatch plan \(name)`" }
    let issuer = (try? providerKind(provider)) as? any TokenIssuer.Type
    return issuer?.givesTokens(settings) == true
      ? "`relatch doctor \(name)`" : "the first rotation that it administers"
  }

  /// Warns if it cannot be rotated: rotation is needed most when that is hardest to fix.
  func warnUnlessRotatable() {
    guard let missing = missingToRotate else { return }
    Diagnostics.standard.warning(
      "\(name) can be used and can administer others, but cannot be rotated, or revoked if it leaks: setting \(missing)"
        + " is missing (`relatch provider show \(provider)`); if another name here has this pair, too, only one of them can"
        + " get it, and the other must be removed before")
  }
}
