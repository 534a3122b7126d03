import Audit
import Vault

// A self-contained page: no script, no other file, nothing from the network. Every word from the log is escaped.
extension IncidentReport {
  var page: String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
    <meta name="referrer" content="no-referrer">
    <title>Incident \(name.escaped)</title>
    <style>\(Self.style)</style>
    </head>
    <body>
    <main>
    <h1>Incident \(name.escaped)</h1>
    <p class="\(isOwed || isBack ? "owed" : "done")">\(verdict.escaped)</p>
    <dl>
    \(fact("Reported", "\(reported)"))
    \(ending)
    \(fact("Written", "\(written)"))
    </dl>
    \(parts.map(section).joined(separator: "\n"))
    \(evidence)
    </main>
    </body>
    </html>

    """
  }

  private var verdict: String {
    if isBack { return "The provider accepts a leaked pair again that it was seen to refuse: delete it there by hand." }
    if wasRefusedBefore {
      return "What leaked had been seen to be refused before it was reported: there was nothing to do."
    }
    guard isOwed || leftElsewhere.isEmpty else {
      return "A leaked pair was left behind at a former place, and nobody saw that place refuse it."
    }
    return isOwed
      ? ended != nil
        ? "Something is still owed: a pair that replaced a leaked one has to be replaced once more."
        : "Something is still owed: a leaked pair has not been seen to be refused."
      : "Every leaked pair was replaced, and the provider was seen to refuse it."
  }

  private var ending: String {
    if wasRefusedBefore { return fact("Refused", "before it was reported") }
    guard isOwed || leftElsewhere.isEmpty else { return fact("Refused", "not at a former place") }
    return fact("Refused", ended.map { "\($0)" } ?? "not yet everything that leaked") + "\n"
      + fact("Time to revoke", ended.map { ($0 - reported).seconds } ?? "still running")
  }

  private func fact(_ name: String, _ value: String) -> String {
    "<div><dt>\(name.escaped)</dt><dd>\(value.escaped)</dd></div>"
  }

  private func section(_ part: Part) -> String {
    let history = part.history
    let versions = history.leaked.map(String.init).joined(separator: ", ")
    let moments = history.moments.map { moment in
      let keys = ["credential.leaked", "pair.cut-off", "pair.not-cut-off", "rotation.promoted", "rotation.refused"]
      let isKey = keys.contains(moment.entry.event)
      return """
        <li\(isKey ? " class=\"key\"" : "")><time datetime="\(moment.entry.time)">\(moment.entry.time)</time>
        <span class="after">\((moment.entry.time - reported).offset)</span>
        <span class="what">\(moment.text.escaped)</span> <span class="entry">entry \(moment.index) by \(moment.entry.member.escaped)</span></li>
        """
    }
    let uses = history.uses.map { "<li>\($0.text.escaped)</li>" }
    return """
      <section>
      <h2>\(history.credential.escaped)</h2>
      <p>Version \(versions) leaked.</p>
      \(history.warning.map { "<p class=\"owed\">\($0.escaped)</p>" } ?? "")
      <h3>Timeline of \(history.credential.escaped)</h3>
      <ol class="timeline">
      \(moments.joined(separator: "\n"))
      </ol>
      <h3>Who had it</h3>
      <p>Open to \(part.openTo.map(\.text).joined(separator: ", ").escaped).</p>
      \(uses.isEmpty ? "<p>Nobody read it, and it was delivered nowhere.</p>" : "<ul>\n\(uses.joined(separator: "\n"))\n</ul>")
      <h3>What is still owed</h3>
      <p>\((part.owed?.text(at: written) ?? "Nothing.").escaped)</p>
      </section>
      """
  }

  private var evidence: String {
    let proofs = self.proofs.map { proof in
      """
      <details><summary>Entry \(proof.index)</summary>
      <pre>\(proof.text.escaped)</pre>
      <pre>\(proof.proof.escapedLines)</pre>
      </details>
      """
    }
    return """
      <section>
      <h2>Proofs</h2>
      <p>Proved here: that what leaked was reported, replaced and refused as said above. Each proof below is a C2SP tlog-proof of
      the entry above it, exactly as it is hashed; the checkpoint is a signed note by \(checkpoint.member.escaped), to be
      checked with this key:</p>
      <pre>\(checkpoint.key.escaped)</pre>
      <p>Not proved here: whose key that is, who had the pairs, where they were delivered, and that nothing is owed. For these
      ask for the vault's log. The whole log shows them; a bundle of \(sources.joined(separator: ", ").escaped) shows what happened,
      and not that nothing else did. Both are verified with the key of the owner who founded the vault, which you must have
      from elsewhere. It is said to be:</p>
      <pre>\(owner.escaped)</pre>
      <details><summary>Checkpoint</summary>
      <pre>\(checkpoint.note.escapedLines)</pre>
      </details>
      \(proofs.joined(separator: "\n"))
      </section>
      """
  }

  private static let style = """

    :root { color-scheme: light dark; --ink: #1b1f24; --faint: #57606a; --paper: #ffffff; --line: #c4cad1; --mark: #0b5cad;
      --done: #116329; --owed: #a40e26; }
    @media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #a5b0bb; --paper: #0d1117; --line: #4a535d;
      --mark: #79b8ff; --done: #7ee2a0; --owed: #ffaba8; } }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
    main { max-width: 64rem; margin: 0 auto; padding: 1rem; }
    h1, h2, p, dd, li, pre { overflow-wrap: anywhere; }
    h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; margin-top: 2rem; } h3 { font-size: 1rem; }
    .done, .owed { border-left: .3rem solid; padding-left: .7rem; font-weight: 600; }
    .done { color: var(--done); } .owed { color: var(--owed); }
    dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: .5rem 1.5rem; }
    dt { color: var(--faint); } dd { margin: 0; }
    .timeline { list-style: none; margin: 0; padding: 0; border-left: .15rem solid var(--line); }
    .timeline li { position: relative; padding: .35rem 0 .35rem 1.2rem; }
    .timeline li::before { content: ""; position: absolute; left: -.42rem; top: .85rem; width: .7rem; height: .7rem;
      border-radius: 50%; background: var(--paper); border: .15rem solid var(--line); }
    .timeline .key::before { background: var(--mark); border-color: var(--mark); }
    .timeline .key .what { font-weight: 600; }
    .what { display: block; } .entry, .after, time { color: var(--faint); font-size: .875rem; }
    pre { white-space: pre-wrap; font: .8125rem/1.4 ui-monospace, monospace; border: 1px solid var(--line); padding: .6rem; }
    summary { cursor: pointer; padding: .3rem 0; }
    @media (min-width: 48rem) { .timeline li { display: grid; grid-template-columns: 14rem 5rem 1fr auto; gap: 0 1rem; } }

    """
}

extension String {
  /// The string for a page's text and attributes: on one line, and with invisible characters written out.
  fileprivate var escaped: String {
    var text = ""
    for scalar in Diagnostics.printable(self).unicodeScalars {
      switch scalar {
      case "&": text += "&amp;"
      case "<": text += "&lt;"
      case ">": text += "&gt;"
      case "\"": text += "&quot;"
      case "'": text += "&#39;"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  /// The same line by line.
  fileprivate var escapedLines: String {
    unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).escaped }
      .joined(separator: "\n")
  }
}

extension Duration {
  /// In seconds with three decimals: `1.250 s`.
  var seconds: String {
    let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    let rest = String(1000 + abs(milliseconds) % 1000).dropFirst()
    return "\(milliseconds < 0 ? "-" : "")\(abs(milliseconds) / 1000).\(rest) s"
  }

  fileprivate var offset: String { (self < .zero ? "" : "+") + seconds }
}
