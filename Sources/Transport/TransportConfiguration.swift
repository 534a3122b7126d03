/// Which authorities a transport trusts, and whether it uses a proxy.
package struct TransportConfiguration: Sendable {
  /// A PEM file of certificate authorities trusted *instead of* the system's, so that a private authority narrows trust
  /// and never widens it; `nil` for the system's.
  package var caFile: String?
  /// Whether `https_proxy`, `all_proxy` and `no_proxy` in the environment are used. A proxy sees only a server's name
  /// and the amount of data, because TLS runs through it end to end. Loopback never uses a proxy.
  package var usesEnvironmentProxy: Bool

  package init(caFile: String? = nil, usesEnvironmentProxy: Bool = true) {
    self.caFile = caFile
    self.usesEnvironmentProxy = usesEnvironmentProxy
  }
}
