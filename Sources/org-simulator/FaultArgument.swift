import ArgumentParser
import OrgSimulator

/// `kind[:method[:path[:key=value,…]]]`, where an empty method or path matches all.
struct FaultArgument: ExpressibleByArgument {
  let fault: OrgFault

  init?(argument: String) {
    let parts = argument.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    guard let kind = OrgFault.Kind(rawValue: parts[0]) else { return nil }
    var fault = OrgFault(kind)
    if parts.count > 1, !parts[1].isEmpty { fault.method = parts[1] }
    if parts.count > 2, !parts[2].isEmpty { fault.path = parts[2] }
    for setting in parts.count > 3 ? parts[3].split(separator: ",") : [] {
      guard Self.apply(setting, to: &fault) else { return nil }
    }
    self.fault = fault
  }

  private static func apply(_ setting: Substring, to fault: inout OrgFault) -> Bool {
    let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { return false }
    switch (parts[0], Int(parts[1]), Double(parts[1]), Bool(parts[1])) {
    case ("skip", let value?, _, _): fault.skip = value
    case ("count", let value?, _, _): fault.count = value
    case ("count", nil, _, _) where parts[1] == "all": fault.count = nil
    case ("seconds", _, let value?, _): fault.seconds = value
    case ("bytes", let value?, _, _): fault.bytes = value
    case ("acts", _, _, let value?): fault.acts = value
    default: return false
    }
    return true
  }
}
