import Glibc

/// A folder for one test, removed with everything in it when the test is done.
package final class TemporaryFolder: Sendable {
  package let path: String

  package init() throws {
    var template = Array("/tmp/relatch-test-XXXXXX".utf8CString)
    guard let made = template.withUnsafeMutableBufferPointer({ buffer in buffer.baseAddress.flatMap { mkdtemp($0) } })
    else {
      throw FileFailure(number: errno)
    }
    self.path = String(cString: made)
  }

  deinit {
    for name in (try? Self.names(in: path)) ?? [] { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  /// Where a store may be made.
  package var store: String { "\(path)/store.db" }

  /// The sorted names of the files in it.
  package func names() throws -> [String] { try Self.names(in: path) }

  package static func names(in path: String) throws -> [String] {
    guard let stream = opendir(path) else { throw FileFailure(number: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}

/// The error number of a system call.
package struct FileFailure: Error {
  package let number: Int32
}

/// The bytes of a file.
package func contents(of path: String) throws -> [UInt8] {
  guard let file = fopen(path, "rb") else { throw FileFailure(number: errno) }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
  return bytes
}

/// Makes or replaces a file.
package func write(_ bytes: [UInt8], to path: String) throws {
  guard let file = fopen(path, "wb") else { throw FileFailure(number: errno) }
  let count = fwrite(bytes, 1, bytes.count, file)
  guard fclose(file) == 0, count == bytes.count else { throw FileFailure(number: errno) }
}

/// The permission bits of a file.
package func mode(of path: String) throws -> UInt32 {
  var status = stat()
  guard lstat(path, &status) == 0 else { throw FileFailure(number: errno) }
  return status.st_mode & 0o7777
}
