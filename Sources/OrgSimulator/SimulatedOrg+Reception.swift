import FoundationEssentials

/// The outcome of one request: the org's answer, unless a fault came first, and the fault that spoils it, if any.
struct Reception: Sendable {
  let answer: OrgAnswer?
  let fault: OrgFault?
}

extension SimulatedOrg {
  /// Records a request, picks the fault that strikes it, and acts on it unless the fault prevents that.
  mutating func receive(_ request: OrgRequest) -> Reception {
    let fault = strikingFault(request)
    var record = RecordedRequest(
      number: requests.count + 1, time: now, method: request.method, path: request.path, fault: fault?.kind)
    var answered: OrgAnswer?
    if fault?.actsFirst ?? true {
      var answer = answer(request)
      // RFC 9110 §6.6.1: an origin server with a clock sends it.
      answer.headers["Date"] = Self.httpDate(now)
      record.app = answer.app
      record.consumer = answer.consumer
      record.status = answer.status
      record.isPrimary = answer.isPrimary
      answered = answer
    }
    requests.append(record)
    return Reception(answer: answered, fault: fault)
  }

  private mutating func strikingFault(_ request: OrgRequest) -> OrgFault? {
    if readings.dropsPostWithoutLength, request.method == "POST", !request.hasLength { return OrgFault(.dropBefore) }
    // The first fault that strikes wins; those after it keep their counts for later requests.
    for index in faults.indices where faults[index].strikes(method: request.method, path: request.path) {
      return faults[index].fault
    }
    return nil
  }
}

extension SimulatedOrg {
  /// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
  static func httpDate(_ date: Date) -> String {
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    // The first of January 1970 was a Thursday; `2026-11-22T04:36:40Z`.
    let day = Int((date.timeIntervalSince1970 / Self.day).rounded(.down))
    let parts = date.formatted(Date.ISO8601FormatStyle()).dropLast().split { "-T".contains($0) }.map(String.init)
    let month = months[((Int(parts[1]) ?? 1) - 1) % 12]
    return "\(days[((day % 7) + 7) % 7]), \(parts[2]) \(month) \(parts[0]) \(parts[3]) GMT"
  }
}
