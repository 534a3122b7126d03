import Glibc
import Vault

/// Paths as a person types them.
enum Paths {
  /// `path` as an absolute path. A relative one begins at the current folder.
  static func absolute(_ path: String) throws -> String {
    guard !path.hasPrefix("/") else { return path }
    guard let folder = getcwd(nil, 0) else {
      throw Failure(.notFound, "the working folder cannot be found", hint: "name the file from the root: /…")
    }
    defer { free(folder) }
    guard let words = String(validatingCString: folder) else {
      throw Failure(
        .usage, "the path of the working folder is not UTF-8", hint: "name the file from the root, by a path that is")
    }
    var path = path
    while path.hasPrefix("./") { path.removeFirst(2) }
    return words + "/" + path
  }

  /// The folder of the file or folder at the absolute `path`; empty for a name directly below the root.
  static func folder(of path: String) -> String {
    var path = path[...]
    while path.last == "/" { path.removeLast() }
    return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  /// Identifies the file that the absolute `path` leads to, however that is spelled: by its folder's device and inode
  /// and its name there. If there is no such folder, by the normalized path.
  static func place(of path: String) -> String {
    let target = realpath(path, nil)
    defer { free(target) }
    let path = target.flatMap { String(validatingCString: $0) } ?? path
    guard let slash = path.lastIndex(of: "/") else { return path }
    var folder = stat()
    guard stat(String(path[...slash]), &folder) == 0 else { return normalized(path) }
    return "\(folder.st_dev) \(folder.st_ino) \(path[path.index(after: slash)...])"
  }

  /// The absolute `path` without `.` and `..`, by what is written alone: no link is followed.
  static func normalized(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == "..", !parts.isEmpty { parts.removeLast() } else if part != ".." { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }

  /// The program that `word` names: a path, or the first of that name in the folders of PATH.
  static func program(_ word: String) throws -> String {
    if word.contains("/") { return try absolute(word) }
    for folder in (ProcessEnvironment.value(of: "PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":") {
      let path = "\(folder)/\(word)"
      if folder.hasPrefix("/"), access(path, X_OK) == 0 { return path }
    }
    throw Failure(
      .notFound, "there is no program \(Name.printable(word)) in the folders of PATH", hint: "name its path: /…")
  }

  /// The default name of a sink or hook: that of its file or program.
  static func name(of path: String) -> String {
    let last = path.split(separator: "/").last.map(String.init) ?? ""
    let name = last.unicodeScalars.filter {
      $0.isASCII && ($0.properties.isAlphabetic || (48...57).contains($0.value) || "._-@".unicodeScalars.contains($0))
    }
    .drop { !$0.properties.isAlphabetic && !(48...57).contains($0.value) }
    return String(String.UnicodeScalarView(name))
  }
}
