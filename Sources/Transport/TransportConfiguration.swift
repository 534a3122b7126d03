/// What a transport trusts and how it gets out.
package struct TransportConfiguration: Sendable {
  /// A PEM file of certificate authorities trusted *instead of* the system's, so that a private authority narrows trust and
  /// never widens it; `nil` for the system's.
  package var caFile: String?
  /// Whether `https_proxy`, `all_proxy` and `no_proxy` in the environment count. A proxy sees a server's name and the size
  /// of what passes: TLS runs through it, end to end. Loopback never uses one.
  package var usesEnvironmentProxy: Bool

  package init(caFile: String? = nil, usesEnvironmentProxy: Bool = true) {
    self.caFile = caFile
    self.usesEnvironmentProxy = usesEnvironmentProxy
  }
}
