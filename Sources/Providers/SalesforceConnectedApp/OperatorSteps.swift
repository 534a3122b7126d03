/// The instructions to a person at the org's pages, in the words of those pages.
///
/// Salesforce help, "View and Rotate the Consumer Key and Consumer Secret of a Connected App"
/// (connected_app_edit_parent.htm): staged details are generated, shared, and then applied.
struct OperatorSteps: Sendable {
  let app: String
  let host: String

  private var name: String { "connected app \(app) of \(host)" }

  private func open() -> [String] {
    [
      "1. In \(host): Setup, App Manager; in the row of \(app): View.",
      "2. Manage Consumer Details; type the code that is mailed to you.",
    ]
  }

  func stage() -> [String] {
    [
      "A new pair for \(name) is staged by hand. The old one stays as it is until Apply is clicked, later on.",
      "Apply will end the old pair at once: anyone who uses it is then refused until the new pair has arrived.",
    ] + open() + [
      "3. Under Staged Consumer Details: Generate. If staged details of this rotation are shown already, take those;",
      "   if they may be somebody else's, cancel them there, and generate new ones.",
      "4. Do not click Apply yet. Leave the page open.",
    ]
  }

  let stageQuestion = "Are the staged details shown?"

  func take() -> [String] { ["Paste the staged consumer key, then the staged consumer secret. Neither is shown here."] }

  let stagedPrompts = ["staged consumer key", "staged consumer secret"]

  func unproved(_ refusal: String) -> [String] {
    [
      "The new pair of \(name) is saved, and not accepted yet: \(refusal).",
      "Some orgs accept staged details only after Apply. If so, they are proved right after it; the old pair may be refused by",
      "then, and nothing works if what was pasted is not what is staged. Compare both parts with the page before you agree.",
      "If what was pasted is wrong: answer no, then `relatch abort`, and rotate again.",
    ]
  }

  let unprovedQuestion = "Go on to Apply, although the new pair is not proved?"

  func apply() -> [String] {
    ["The staged details of \(name) are applied now. From then on the old pair is refused."] + open() + [
      "3. Under Staged Consumer Details: Apply. If that was done already, only answer."
    ]
  }

  let applyQuestion = "Was Apply clicked, and does the page show the new key as the current one?"

  func applied() -> [String] {
    ["Both pairs of \(name) are accepted: that does not show whether the staged details were applied."] + open()
  }

  let appliedQuestion = "Does the page show the new key as the current one?"

  func cancel() -> [String] {
    ["The staged details of \(name) are given up."] + open() + [
      "3. Under Staged Consumer Details: Cancel. If none are shown any more, only answer. If they were applied: answer no."
    ]
  }

  let cancelQuestion = "Are the staged details gone, and is the old key the current one?"

  func shown() -> [String] {
    [
      "No pair of \(name) that the vault has in use is accepted. Either the new one was applied and needs some minutes, or what was",
      "pasted is not what was staged, or somebody else rotated it.",
    ] + open() + ["3. Paste the current consumer key and secret. Neither is shown here."]
  }

  let currentPrompts = ["current consumer key", "current consumer secret"]

  func foreign() -> [String] {
    [
      "The vault does not have the current pair of \(name). The staged one is given up here; after that",
      "`relatch adopt NAME --stdin` takes the current pair over.",
    ]
  }
}
