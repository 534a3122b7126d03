import Audit

/// One metric with its samples, in the text format that Prometheus reads
/// (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4).
struct MetricFamily {
  enum Value: Hashable {
    case integer(Int64)
    /// Seconds since 1970, to the millisecond.
    case moment(Timestamp)
  }

  struct Sample {
    let labels: KeyValuePairs<String, String>
    let value: Value
  }

  let name: String
  let help: String
  /// Samples always show the present state: every metric is a gauge.
  let samples: [Sample]

  init(_ name: String, help: String, _ samples: [Sample]) {
    self.name = name
    self.help = help
    self.samples = samples
  }

  /// A metric without labels; without a value it has no sample.
  init(_ name: String, help: String, _ value: Value?) {
    self.init(name, help: help, value.map { [Sample(labels: [:], value: $0)] } ?? [])
  }

  /// The lines of this metric; none without samples.
  var text: String {
    guard !samples.isEmpty else { return "" }
    let help = help.escaped(["\\": "\\\\", "\n": "\\n"])
    return samples.reduce(into: "# HELP \(name) \(help)\n# TYPE \(name) gauge\n") { $0 += $1.line(of: name) }
  }
}

extension MetricFamily.Sample {
  fileprivate func line(of name: String) -> String {
    guard !labels.isEmpty else { return "\(name) \(value)\n" }
    let pairs = labels.map { label, text in
      "\(label)=\"\(text.escaped(["\\": "\\\\", "\"": "\\\"", "\n": "\\n"]))\""
    }
    return "\(name){\(pairs.joined(separator: ","))} \(value)\n"
  }
}

extension MetricFamily.Value: CustomStringConvertible {
  /// Written from whole numbers: a binary fraction has no exact thousandths.
  var description: String {
    switch self {
    case .integer(let number): return String(number)
    case .moment(let moment):
      let (seconds, rest) = moment.milliseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
      let sign = moment.milliseconds < 0 ? "-" : ""
      return "\(sign)\(seconds)" + (rest == 0 ? "" : "." + String(String(1000 + rest).dropFirst()))
    }
  }
}

extension String {
  /// The string with each scalar of `replacements` replaced. By scalars, because a Swift character may join a quote
  /// with what follows it.
  func escaped(_ replacements: [UnicodeScalar: String]) -> String {
    unicodeScalars.reduce(into: "") { result, scalar in
      if let replacement = replacements[scalar] { result += replacement } else { result.unicodeScalars.append(scalar) }
    }
  }
}
