import Vault

extension UnlockedVault {
  /// Fails with `usage` if `text`, which is called `what` and will be read by others, holds a secret of one of `names`.
  /// If a word in it could be a secret, all credentials are compared that the identity can open; the others cannot be.
  ///
  /// Opening them takes time, some milliseconds for a hundred, and an entry in the log for each. A text of plain words
  /// is compared only with `names`.
  func requireNoSecret(_ text: String, _ what: String, of names: [String]) async throws {
    let isSuspicious = text.mayContainSecret
    guard isSuspicious || !names.isEmpty else { return }
    let findings = try await search(isSuspicious ? nil : names, purpose: what, now: WallClock.now()) {
      $0.isTold(in: text)
    }
    guard let first = findings.found.first else { return }
    throw Failure(
      .usage, "the \(what) contains the secret of \(first.credential), version \(first.version.number)",
      hint: "write it without the secret; that secret leaked, too: it was an argument and may be in the shell's history"
    )
  }
}

extension String {
  /// Whether a word of it could be a secret that a machine made: eight bytes or more, with a digit, a sign, or a
  /// capital inside.
  var mayContainSecret: Bool {
    split(whereSeparator: \.isWhitespace).contains { word in
      guard word.utf8.count >= 8 else { return false }
      let inner = word.drop { !$0.isLetter && !$0.isNumber }
      let letters = inner.reversed().drop { !$0.isLetter && !$0.isNumber }
      let isPlain = letters.allSatisfy { $0.isLetter || "-'/’.".contains($0) }
      let hasInnerCapital =
        letters.dropLast().contains(where: \.isUppercase) && letters.contains(where: \.isLowercase)
      return !isPlain || hasInnerCapital
    }
  }
}
