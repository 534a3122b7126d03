import FoundationEssentials

/// What became of one request: the org's answer, unless a fault came first, and the fault that spoils it, if any.
struct Reception: Sendable {
  let answer: OrgAnswer?
  let fault: OrgFault?
}

extension SimulatedOrg {
  /// Records a request, picks the fault that strikes it, and acts on it unless the fault forbids.
  mutating func receive(_ request: OrgRequest) -> Reception {
    let fault = strikingFault(request)
    var record = RecordedRequest(
      number: requests.count + 1, time: now, method: request.method, path: request.path, fault: fault?.kind)
    var answered: OrgAnswer?
    if fault?.actsFirst ?? true {
      let answer = answer(request)
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
    // The first fault that strikes wins, and those behind it keep their order for the requests to come.
    for index in faults.indices where faults[index].strikes(method: request.method, path: request.path) {
      return faults[index].fault
    }
    return nil
  }
}
