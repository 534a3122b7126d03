import ArgumentParser
import Audit
import Rotation
import Vault

extension VaultFigures {
  /// The metrics as Prometheus reads them. docs/unattended.md lists them, and a test compares.
  var text: String { families.map(\.text).joined() }

  var families: [MetricFamily] {
    [
      MetricFamily(
        "relatch_build_info", help: "The program that wrote this; always 1.",
        [.init(labels: ["version": Relatch.version], value: .integer(1))]),
      MetricFamily(
        "relatch_metrics_written_timestamp_seconds", help: "When this was written.", .moment(written)),
      MetricFamily(
        "relatch_run_completion_timestamp_seconds", help: "When the run that wrote this ended.",
        run.map { .moment($0.ended) }),
      MetricFamily(
        "relatch_run_exit_code", help: "The exit code of the run that wrote this.",
        run.map { .integer(Int64($0.code.rawValue)) }),
      MetricFamily(
        "relatch_vault_size_bytes", help: "The size of the vault's database.", vaultBytes.map { .integer($0) }),
      MetricFamily("relatch_log_entries", help: "The size of the log.", .integer(Int64(clamping: logEntries))),
      MetricFamily(
        "relatch_log_checkpoint_timestamp_seconds", help: "The time of the newest entry that a checkpoint covers.",
        checkpointed.map { .moment($0) }),
      MetricFamily(
        "relatch_vault_damages", help: "How many credentials and indexes of the vault are damaged.",
        .integer(Int64(damage.count))),
      eachWitness("relatch_witness_unseen_entries", help: "How many entries the witness has not seen.") {
        .integer(Int64(clamping: $0.unseen))
      },
      eachWitness(
        "relatch_witness_unseen_timestamp_seconds", help: "When the first entry that the witness has not seen came."
      ) {
        $0.since.map { .moment($0) }
      },
      each("relatch_pair_created_timestamp_seconds", help: "When the active pair was made.") {
        $0.created.map { .moment($0) }
      },
      MetricFamily(
        "relatch_pair_expiry_timestamp_seconds", help: "When the provider ends a pair automatically, if it says so.",
        credentials.flatMap { credential in
          credential.expiries.map { stage, moment in
            .init(
              labels: ["credential": credential.name, "provider": credential.provider, "stage": stage.rawValue],
              value: .moment(moment))
          }
        }),
      each(
        "relatch_pair_exposed_timestamp_seconds",
        help: "Since when someone whose access has ended knows the active pair, until it is replaced."
      ) { $0.exposed.map { .moment($0) } },
      each(
        "relatch_leak_timestamp_seconds",
        help:
          "When a leak was noted, until each of its pairs has been seen to be refused, and none that a leaked administrator could read is active."
      ) { $0.leaked.map { .moment($0) } },
      each("relatch_rotation_next_timestamp_seconds", help: "When the next scheduled rotation is to begin.") {
        $0.appointment.map { .moment($0.begins) }
      },
      each(
        "relatch_rotation_overdue_timestamp_seconds",
        help: "From when it is a fault that the next scheduled rotation is not done."
      ) { $0.appointment.map { .moment($0.overdue) } },
      each("relatch_rotation_last_success_timestamp_seconds", help: "When a new pair was last promoted.") {
        $0.lastSuccess.map { .moment($0) }
      },
      each(
        "relatch_rotation_unfinished_timestamp_seconds",
        help: "When the rotation was begun whose new pair is not yet verified, while there is one."
      ) { $0.unfinishedSince.map { .moment($0) } },
      states,
      each("relatch_rotation_failed_attempts", help: "How many attempts in a row came to nothing.") {
        .integer(Int64($0.failedAttempts))
      },
      each("relatch_debts", help: "How many replaced pairs have not been seen to be refused.") {
        .integer(Int64($0.debts))
      },
      each("relatch_debt_oldest_timestamp_seconds", help: "Since when the oldest debt is owed.") {
        $0.oldestDebt.map { .moment($0) }
      },
      each("relatch_debt_due_timestamp_seconds", help: "When the grace of the debts ends.") {
        $0.debtsDue.map { .moment($0) }
      },
      each(
        "relatch_delivery_outstanding", help: "How many sinks and hooks do not have the active version."
      ) { $0.undelivered.map { .integer(Int64($0)) } },
    ]
  }

  /// One sample for each witness that has a value.
  private func eachWitness(
    _ name: String, help: String, _ value: (WitnessFigures) -> MetricFamily.Value?
  ) -> MetricFamily {
    MetricFamily(
      name, help: help,
      witnesses.compactMap { witness in
        value(witness).map { .init(labels: ["witness": witness.name], value: $0) }
      })
  }

  /// One sample for each credential that has a value.
  private func each(
    _ name: String, help: String, _ value: (CredentialFigures) -> MetricFamily.Value?
  ) -> MetricFamily {
    MetricFamily(
      name, help: help,
      credentials.compactMap { credential in
        value(credential).map {
          .init(labels: ["credential": credential.name, "provider": credential.provider], value: $0)
        }
      })
  }

  /// A sample for every state, so that leaving a state is seen, too.
  private var states: MetricFamily {
    MetricFamily(
      "relatch_rotation_state",
      help: "1 for the state of the newest rotation (`none` before the first), 0 for other states.",
      credentials.flatMap { credential in
        (["none"] + RotationState.allCases.map(\.rawValue)).map { state in
          .init(
            labels: ["credential": credential.name, "provider": credential.provider, "state": state],
            value: .integer(state == credential.state?.rawValue ?? "none" ? 1 : 0))
        }
      })
  }
}
