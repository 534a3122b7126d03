import Foundation

/// What durable log entries cost when many tasks append at once, compared with SQLite's own durable commits of one row
/// each.
struct Appending {
  let workshop: Workshop
  /// The program that appends, built from the same sources as `relatch`.
  let program: String
  /// The program that commits one row after another.
  let floor: String
  let isShort: Bool

  private static let tasks = 64
  private var rounds: Int { isShort ? 1 : 3 }
  private var each: Int { isShort ? 30 : 300 }

  func run() throws {
    Benchmarks.progress("appending to a log")
    let entries = Self.tasks * each
    let rows = entries / 4
    var (appended, committed) = ([(wall: Double, cpu: Double)](), [(wall: Double, cpu: Double)]())
    let load = Machine.load()
    for _ in 1...rounds {
      committed.append(try measured([floor, workshop.path("floor.db"), "\(rows)"]))
      appended.append(try measured([program, workshop.path("appends.db"), "\(Self.tasks)", "\(each)"]))
    }
    try clear()
    let syncs = try workshop.syncs([
      program, workshop.path("appends.db"), "\(Self.tasks)", "\(each)", workshop.path("time"),
    ])
    try clear()
    print("Durable appends, medians of \(rounds) in turns\(load > 0.1 ? " (busy)" : "")")
    func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    func line(_ name: String, _ count: Int, _ times: [(wall: Double, cpu: Double)], _ rest: String = "") -> Double {
      let rate = Double(count) / median(times.map(\.wall))
      let space = String(repeating: " ", count: max(0, 36 - name.count))
      let cpu = median(times.map(\.cpu)) / Double(count) * 1e6
      print("\(name)\(space)\(Table.number(rate, 0)) a second, CPU \(Table.number(cpu, 0)) us each\(rest)")
      return rate
    }
    let floorRate = line("floor: SQLite, one row a commit", rows, committed)
    let rate = line(
      "relatch's log, \(Self.tasks) tasks", entries, appended,
      syncs.map { ", \(Table.number(Double(entries) / Double(max($0, 1)), 1)) entries a sync" } ?? "")
    print("\(Table.number(rate / floorRate, 1)) x SQLite's own rate. Target: at least 10 x.\n")
  }

  private func clear() throws {
    for name in ["floor.db", "appends.db"] {
      for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: workshop.path(name + suffix)) }
    }
  }

  /// Wall and processor seconds, as the program itself measured them.
  private func measured(_ words: [String]) throws -> (wall: Double, cpu: Double) {
    try clear()
    try workshop.output(words + [workshop.path("time")])
    let figures = try String(contentsOfFile: workshop.path("time"), encoding: .utf8).split(
      whereSeparator: \.isWhitespace)
    guard figures.count == 2, let wall = Double(figures[0]), let cpu = Double(figures[1]) else {
      throw BenchmarkError("\(words[0]) was not measured")
    }
    return (wall / 1e9, cpu / 1e9)
  }
}
