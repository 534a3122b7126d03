/// What a transport trusts and how it gets out.
package struct TransportConfiguration: Sendable {
  /// A PEM file of certificate authorities trusted *instead of* the system's, so that a private authority narrows trust and
  /// never widens it; `nil` for the system's.
  package var caFile: String?
  /// Whether `https_proxy`, `all_proxy` and `no_proxy` in the environment count. A proxy sees a server's name and the size
  /// of what passes: TLS runs through it, end to end. Loopback never uses one.
  package var usesEnvironmentProxy: Bool
  /// Whether HTTP/2 is offered over TLS. It saves handshakes; but nghttp2 frees its copies of headers and bodies unwiped,
  /// which `ResidueTests` sees, where HTTP/1.1 leaves none.
  package var offersHTTP2: Bool

  package init(caFile: String? = nil, usesEnvironmentProxy: Bool = true, offersHTTP2: Bool = true) {
    self.caFile = caFile
    self.usesEnvironmentProxy = usesEnvironmentProxy
    self.offersHTTP2 = offersHTTP2
  }
}
