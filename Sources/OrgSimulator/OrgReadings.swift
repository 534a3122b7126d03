/// Everything on which public sources are silent or contradict each other. A client is right only if it is right under
/// every combination. The defaults follow Salesforce's own pages first, working third-party code second.
///
/// "Connect" below is the Connect REST API guide, "App OAuth Staged Credentials" and its neighbours
/// (developer.salesforce.com/docs/atlas.en-us.chatterapi.meta/chatterapi/connect_resources_oauth_credentials_resources.htm).
package struct OrgReadings: OrgSettings, Equatable {
  package enum StageAnswer: String, Codable, Sendable { case collection, object }
  package enum EmptyStagedList: String, Codable, Sendable { case emptyList, notFound }
  package enum FieldNames: String, Codable, Sendable { case keyAndSecret, consumerKeyAndSecret }
  package enum ObjectShape: String, Codable, Sendable { case topLevel, array, wrapped }
  package enum StagedURL: String, Codable, Sendable { case primary, staged }
  package enum StateCase: String, Codable, Sendable { case capitalized, upper, lower }
  package enum DateForm: String, Codable, Sendable { case milliseconds, offset, seconds }
  package enum RotateAnswer: String, Codable, Sendable { case replaced, promoted, noContent }
  package enum ReplacedID: String, Codable, Sendable { case fresh, keepsStagedID }
  package enum RotateOnRotated: String, Codable, Sendable { case refused, swapsBack }
  package enum TailStart: String, Codable, Sendable { case rotation, staging }
  package enum ExpiredSets: String, Codable, Sendable { case removed, listed }
  package enum EndedTokens: String, Codable, Sendable { case none, consumer, caller }
  package enum SignatureKey: String, Codable, Sendable { case ownSecret, primarySecret, wrong }
  package enum UnknownKeyError: String, Codable, Sendable { case invalidClientID, invalidClient }
  package enum FlowOffError: String, Codable, Sendable { case invalidGrant, unsupportedGrantType, unauthorizedClient }
  package enum SecretAlphabet: String, Codable, Sendable { case hex, reserved }

  // MARK: - Staging

  /// HTTP status of a successful POST …/staged: 200 or 201, which is documented nowhere.
  package var stageStatus = 201
  /// Connect says that POST answers with the collection; a collection of one is easily mistaken for the object.
  package var stageAnswer = StageAnswer.collection
  /// The answer to GET …/staged with nothing staged.
  package var emptyStagedList = EmptyStagedList.emptyList
  /// Whether the list leaves out `secret`, so that only a GET of a set by its id returns it.
  package var stagedListHidesSecrets = false
  /// Whether a staged pair gets tokens before it is promoted. Reported by practitioners, not by Salesforce.
  package var stagedPairGrants = true
  /// What happens to a set after its 30 days: it is gone, or still listed as `Expired`.
  package var expiredSets = ExpiredSets.removed
  /// Whether the org drops the connection on a POST without a length, as one client library found.
  package var dropsPostWithoutLength = false

  // MARK: - Shapes

  package var fieldNames = FieldNames.keyAndSecret
  package var objectShape = ObjectShape.topLevel
  /// Connect calls a staged set's `url` "the URL for the primary credentials"; working code treats it as the set's own.
  package var stagedURL = StagedURL.primary
  package var stateCase = StateCase.capitalized
  package var dateForm = DateForm.milliseconds
  /// 15 or 18.
  package var idLength = 15
  /// An alphabet with characters that every encoding treats differently; Salesforce's secrets are hexadecimal as far as
  /// seen.
  package var secretAlphabet = SecretAlphabet.hex

  // MARK: - Promotion and after

  /// What PATCH answers with: the set now in the slot (the old pair), the pair just promoted, or 204.
  package var rotateAnswer = RotateAnswer.replaced
  /// The id of the replaced pair in the slot.
  package var replacedID = ReplacedID.fresh
  /// Whether the promoted set's old id still names the pair, which is now the primary one, so that a DELETE by a
  /// remembered id destroys the pair in use.
  package var stagedIDNamesPrimary = false
  /// What a second PATCH does to a set that is already `Rotated` (reachable when it keeps its id).
  package var rotateOnRotated = RotateOnRotated.refused
  /// Whether the replaced pair is accepted until its tail is over; false kills it at promotion.
  package var replacedPairLivesOn = true
  /// Whether the 30 days of the replaced pair count from promotion or from the staging of its successor.
  package var tailStart = TailStart.rotation
  /// Whether promotion gives the consumer a new id.
  package var consumerIDChanges = false
  /// Whose access tokens end at promotion.
  package var rotateEndsTokens = EndedTokens.none
  /// Whether access tokens issued to a pair end when that pair is deleted.
  package var deleteEndsTokens = false
  /// For how many seconds a deleted pair is still accepted.
  package var deleteDelay = 0.0
  /// Whether an app may rotate its own consumers.
  package var selfRotationAllowed = true

  // MARK: - Token endpoint

  /// The secret that signs tokens of a pair that is not (or no longer) primary.
  package var signatureKey = SignatureKey.ownSecret
  /// 400 or 401.
  package var wrongSecretStatus = 400
  package var unknownKeyError = UnknownKeyError.invalidClientID
  package var flowOffError = FlowOffError.invalidGrant
  /// Whether introspection shows a client the tokens of other clients (`isIntrospectAllTokens`).
  package var introspectsAllTokens = false

  // MARK: - Propagation

  /// For how many seconds of org time a new pair is refused as unknown.
  package var propagationSeconds = 0.0
  /// How many token requests with a new pair are refused as unknown.
  package var propagationGrants = 0
  /// Whether promotion makes a pair that was already accepted propagate again.
  package var promotionPropagates = false

  package init() {}
}
