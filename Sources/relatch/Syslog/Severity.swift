/// The severity of a message, with the numbers of syslog and the systemd journal (RFC 5424 §6.2.1, syslog(3)).
enum Severity: Int, Sendable {
  case error = 3
  case warning = 4
  case notice = 5
  case informational = 6
}
