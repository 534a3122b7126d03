import Rotation
import Sodium
import Transport
import Vault

// Makes the new pair in one of two ways: another secret of the client, or another client.
extension OAuthRegistrationProvider {
  /// Cut-over: sends the same client again, for which the server makes another secret (RFC 7592 §2.2).
  func replaceSecret(of pair: Pair, _ client: RegisteredClient) async throws(ProviderError) -> ObservedPair {
    let answer = try await http.send(
      .put, settings.endpoint(of: pair.clientID), token: pair.registrationToken,
      body: .secret(client.metadata(forAnother: false)))
    let changed = try RegisteredClient(answer, mayHaveActed: true)
    guard changed.clientID.map({ $0.secret.isEqual(to: pair.clientID) }) ?? false else {
      throw ProviderError(
        .malformed, "the answer to PUT shows another client than the one that was changed", mayHaveActed: true,
        status: answer.status
      )
    }
    guard let secret = changed.clientSecret else {
      throw ProviderError(.malformed, "the answer to PUT shows no secret", mayHaveActed: true, status: answer.status)
    }
    // Remembered with the pair, because the next PUT would change the token again.
    let hasChanged = changed.registrationToken.map { new in
      pair.registrationToken.map { new.secret.isEqual(to: $0.secret) } != true
    }
    // If the token changed, the pair is saved even if its secret did not: the token that the vault has is dead.
    guard hasChanged == true || !secret.secret.isEqual(to: pair.clientSecret) else {
      throw ProviderError(
        .configuration,
        "\(registration.host) does not replace a client's secret on PUT: its answer shows the old one",
        hint: "once nothing is owed, use `relatch settings NAME mode=overlap`: a second client is registered",
        mayHaveActed: true)
    }
    return ObservedPair(
      place: .staged, handle: hasChanged == true ? Self.tokenChanged : "",
      clientID: try SharedSecret(copying: pair.clientID), clientSecret: secret,
      expires: changed.expires, registrationToken: changed.registrationToken ?? pair.registrationToken,
      sharesClientID: true)
  }

  /// Overlap: registers another client with the same metadata.
  func register(like client: RegisteredClient) async throws(ProviderError) -> ObservedPair {
    var token: SharedSecret?
    if !admin.isSelf { token = try await admin.token(by: ClientCredentials(admin.settings), over: transport) }
    let body = ManagementCall.Body.secret(try client.metadata(forAnother: true))
    let answer: ManagementCall.Answer
    do { answer = try await http.send(.post, registration, token: token, body: body) } catch  where error.status == 401
    {
      guard let token else { throw error }
      // A refused request did not act, so it is safe to repeat.
      await admin.session.end(token)
      answer = try await http.send(
        .post, registration, token: try await admin.token(by: ClientCredentials(admin.settings), over: transport),
        body: body)
    }
    let made = try RegisteredClient(answer, mayHaveActed: true)
    guard let id = made.clientID, let secret = made.clientSecret, let management = made.registrationToken else {
      throw ProviderError(
        .configuration,
        "\(registration.host) registered a client but did not give out its secret or what manages it: "
          + (await unregister(made) ? "it was deleted" : "it stays there unused"),
        hint: "check that the server has RFC 7592, and gives a secret to a client that authenticates with one")
    }
    do {
      try Pair.check(id.secret, "its client_id")
      try Pair.check(secret.secret, "its client_secret")
      try Pair.check(token: management.secret, "its registration_access_token")
    } catch {
      throw ProviderError(
        .configuration,
        "\(registration.host) registered a client that cannot be kept: \((error as? VaultError)?.description ?? ""): "
          + (await unregister(made) ? "it was deleted" : "it stays there unused"),
        hint: "let the server give out only values of at most \(Pair.maximumPartSize) bytes that a header can contain")
    }
    return ObservedPair(
      place: .staged, handle: "", clientID: id, clientSecret: secret, expires: made.expires,
      registrationToken: management)
  }

  /// Deletes a client that was made and cannot be used; returns whether that is known to have worked.
  private func unregister(_ made: RegisteredClient) async -> Bool {
    guard let id = made.clientID, let token = made.registrationToken,
      let place = try? settings.endpoint(of: id.secret)
    else { return false }
    return (try? await http.send(.delete, place, token: token)) != nil
  }
}
