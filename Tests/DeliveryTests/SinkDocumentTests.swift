import Foundation
import Rotation
import Testing
import Vault

@testable import Delivery

@Suite("The content of a file sink")
struct SinkDocumentTests {
  private func made(_ pair: Pair, _ format: FileSettings.Format) throws -> String {
    let content = try SinkDocument.make(pair, format, credential: "crm/prod", version: 7)
    return text(content)
  }

  @Test func `JSON is the document that read prints`() throws {
    let made = try made(pair("id\\1", "a\"b"), .json)
    #expect(made == #"{"client_id":"id\\1","client_secret":"a\"b"}"# + "\n")
  }

  @Test(
    arguments: [
      "plain-WORD_1./+=:@%,", "two words", "it's", #"a"b"#, "a$(touch /tmp/x)`y`$HOME", #"back\slash"#, #"'"\$`"#, "#x",
      "é",
      "*", "~", "a;b", "a&b|c<d>e", "!x", "", " x ",
    ].filter { !$0.isEmpty })
  func `dotenv is read by a shell as it was written`(word: String) throws {
    let folder = try Folder()
    try folder.write("env", made(pair("id", word), .dotenv(prefix: "CRM_PROD")))
    try folder.write(
      "show", ". ./env && printf %s \"$CRM_PROD_CLIENT_SECRET\" && printf %s \"$CRM_PROD_CLIENT_ID\" >&2")
    #expect(try run(["/bin/sh", "-c", "cd \"$0\" && . ./show", folder.path], printingIn: folder.path) == word)
  }

  @Test func `a template gets all four placeholders, and keeps everything else`() throws {
    let folder = try Folder()
    try folder.write(
      "t", "{ a: {{client_id}}, b: \"{{client_secret}}\" } # {{name}} {{version}} {{client_id}}{}{ {client_id}}\n")
    let made = try made(pair("ID", "SECRET"), .template(path: folder.path + "/t"))
    #expect(made == "{ a: ID, b: \"SECRET\" } # crm/prod 7 ID{}{ {client_id}}\n")
    try folder.write("t", "{{client_secret}}")
    #expect(try self.made(pair("ID", "SECRET"), .template(path: folder.path + "/t")) == "SECRET")
  }

  @Test func `a template that has no place for the pair is none: it may be what was made of one`() throws {
    let folder = try Folder()
    for text in ["", "{{name}} {{version}}\n", "{\"client_id\":\"ID\",\"client_secret\":\"SECRET\"}\n"] {
      try folder.write("t", text)
      let error = deliveryError { _ = try made(pair(), .template(path: folder.path + "/t")) }
      #expect(error?.code == .unusable && error?.description.contains("neither {{client_id}} nor") == true, "\(text)")
      #expect(deliveryError { try SinkDocument.check(.template(path: folder.path + "/t")) }?.code == .unusable)
    }
  }

  @Test func `a template that is none is refused, and a pipe not waited for`() throws {
    let folder = try Folder()
    try folder.write("unknown", "x {{secret}}")
    try folder.write("open", "x {{client_id")
    try folder.write("big", String(repeating: "x", count: SinkDocument.maximumTemplateSize + 1))
    #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
    for name in ["unknown", "open", "big", "pipe", "absent", "."] {
      let error = deliveryError { _ = try made(pair(), .template(path: "\(folder.path)/\(name)")) }
      #expect(error?.code == .unusable, "\(name)")
      #expect(deliveryError { try SinkDocument.check(.template(path: "\(folder.path)/\(name)")) }?.code == .unusable)
    }
  }

  @Test func `a template that everybody may write to is refused, also behind a link`() throws {
    let folder = try Folder()
    try folder.write("closed", "{{client_id}}")
    try folder.write("open", "{{client_id}}", mode: 0o666)
    #expect(mkdir(folder.path + "/everybody", 0o700) == 0)
    try folder.write("everybody/t", "{{client_id}}")
    #expect(chmod(folder.path + "/everybody", 0o777) == 0)
    for (link, target) in [("good", "closed"), ("bad", "open"), ("deep", "everybody/t")] {
      #expect(symlink(target, "\(folder.path)/\(link)") == 0)
    }
    for name in ["closed", "good"] {
      #expect(try made(pair("ID"), .template(path: "\(folder.path)/\(name)")) == "ID", "\(name)")
    }
    for name in ["open", "bad", "deep", "everybody/t"] {
      let error = deliveryError { try SinkDocument.check(.template(path: "\(folder.path)/\(name)")) }
      #expect(error?.code == .unusable, "\(name)")
    }
  }

  @Test(.enabled(if: geteuid() == 0, "needs root to act for another user"))
  func `a template that another user put where everybody may write is refused`() throws {
    let folder = try Folder()
    #expect(chmod(folder.path, 0o777 | S_ISVTX) == 0)
    try folder.write("planted", "{{client_id}}")
    try folder.write("ours", "{{client_id}}")
    #expect(chown(folder.path + "/planted", 1234, 1234) == 0)
    #expect(symlink("ours", folder.path + "/link") == 0 && lchown(folder.path + "/link", 1234, 1234) == 0)
    for name in ["planted", "link"] {
      let error = deliveryError { try SinkDocument.check(.template(path: "\(folder.path)/\(name)")) }
      #expect(error?.code == .unusable, "\(name)")
    }
  }

  /// The output of a program.
  private func run(_ words: [String], printingIn folder: String) throws -> String {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 1, folder + "/printed", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    let arguments = words.map { strdup($0) } + [nil]
    let variables = [strdup("LC_ALL=C.UTF-8"), nil]
    defer { for pointer in arguments + variables { free(pointer) } }
    var pid: pid_t = 0
    try #require(posix_spawn(&pid, words[0], &actions, nil, arguments, variables) == 0)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    #expect(status == 0)
    return try String(contentsOfFile: folder + "/printed", encoding: .utf8)
  }
}
