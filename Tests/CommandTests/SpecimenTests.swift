import Foundation
import Testing

@Suite("An old vault with a rotation that was interrupted")
struct SpecimenTests {
  @Test("is shown and planned as it was left, without unlocking: nothing in its journal is strange to this version")
  func interrupted() async throws {
    let place = try await Workplace(addsAdmin: false)
    let contract = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../vault")
    let specimen = place.folder.appendingPathComponent("specimen")
    try FileManager.default.copyItem(
      at: contract.appendingPathComponent("specimens/v2-interrupted").standardizedFileURL, to: specimen)
    let old = ["RELATCH_VAULT": specimen.path].merging(Workplace.outsider) { $1 }
    let status = try await place.relatch("status", "crm/prod", environment: old)
    #expect(status.outputText.hasPrefix("crm/prod: version 3 is active"), "\(status.errorText)")
    let shown = try await place.relatch("show", "crm/prod", "--json", environment: old)
    #expect(shown.code == 0 && shown.outputText.contains(#""stage":"staged""#), "\(shown.errorText)")
    let plan = try await place.relatch("plan", "crm/prod", "--offline", environment: old)
    #expect(plan.code == 0 && plan.outputText.hasPrefix("crm/prod: due now"), "\(plan.outputText) \(plan.errorText)")
    for run in [status, shown, plan] { #expect(!run.errorText.contains("damaged"), "\(run.errorText)") }
  }
}
