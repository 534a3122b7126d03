extension OrgReadings {
  /// Every switch set to something other than its default, one `KEY=VALUE` each, for tests that go through them all.
  package static let deviations = [
    "stageStatus=200", "stageAnswer=object", "emptyStagedList=notFound", "stagedListHidesSecrets=true",
    "stagedPairGrants=false", "expiredSets=listed", "dropsPostWithoutLength=true", "fieldNames=consumerKeyAndSecret",
    "objectShape=array", "objectShape=wrapped", "stagedURL=staged", "stateCase=upper", "stateCase=lower",
    "dateForm=offset", "dateForm=seconds", "idLength=18", "secretAlphabet=reserved", "rotateAnswer=promoted",
    "rotateAnswer=noContent", "replacedID=keepsStagedID", "stagedIDNamesPrimary=true", "rotateOnRotated=swapsBack",
    "replacedPairLivesOn=false", "tailStart=staging", "consumerIDChanges=true", "rotateEndsTokens=consumer",
    "rotateEndsTokens=caller", "deleteEndsTokens=true", "deleteDelay=60", "selfRotationAllowed=false",
    "signatureKey=primarySecret", "signatureKey=wrong", "wrongSecretStatus=401", "unknownKeyError=invalidClient",
    "flowOffError=unsupportedGrantType", "flowOffError=unauthorizedClient", "introspectsAllTokens=true",
    "propagationSeconds=30", "propagationGrants=2", "promotionPropagates=true",
  ]

  /// The defaults with some deviations; if two set the same switch, the later one wins.
  package init(_ deviations: [String]) throws {
    self.init()
    for deviation in deviations { try set(deviation) }
  }

  /// A random combination: each deviation is in it with a chance of one in `odds`.
  package static func combination(
    oneIn odds: Int, using generator: inout some RandomNumberGenerator
  ) -> [String] {
    deviations.filter { _ in Int.random(in: 0..<odds, using: &generator) == 0 }
  }
}
