import Foundation
import Glibc

/// The machine, and how busy others keep it.
enum Machine {
  static let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

  /// Processor seconds since the machine's start that were not idle.
  static func busySeconds() -> Double {
    guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
      let line = text.split(separator: "\n").first
    else { return 0 }
    let ticks = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
    guard ticks.count == 8 else { return 0 }
    // user nice system idle iowait irq softirq steal
    return (ticks.reduce(0, +) - ticks[3] - ticks[4]) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// The share of all processors that others use, measured for a moment in which this program does nothing.
  static func load(over interval: Double = 0.4) -> Double {
    let (busy, start) = (busySeconds(), seconds())
    usleep(UInt32(interval * 1e6))
    return (busySeconds() - busy) / ((seconds() - start) * Double(processors))
  }

  static var description: String {
    let model =
      (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n")
      .first { $0.hasPrefix("model name") }.map { $0.split(separator: ":").last.map(String.init) ?? "" } ?? ""
    let loads = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8))?.split(separator: " ").prefix(3)
    return "\(processors) processors,\(model); load \(loads?.joined(separator: " ") ?? "unknown")"
  }
}
