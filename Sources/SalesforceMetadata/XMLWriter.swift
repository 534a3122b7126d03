/// An element to be written. Metadata has only text and nesting.
enum XMLNode {
  case text(String, String)
  case element(String, [XMLNode])

  /// A whole metadata document with a root element called `root`.
  static func document(_ root: String, _ children: [XMLNode]) -> String {
    var text = #"<?xml version="1.0" encoding="UTF-8"?>"# + "\n"
    text += "<\(root) xmlns=\"\(XMLElement.metadataNamespace)\">\n"
    for child in children { child.write(to: &text, indent: "    ") }
    return text + "</\(root)>\n"
  }

  static func flag(_ name: String, _ value: Bool) -> XMLNode { .text(name, value ? "true" : "false") }

  private func write(to output: inout String, indent: String) {
    switch self {
    case .text(let name, let text): output += "\(indent)<\(name)>\(Self.escaped(text))</\(name)>\n"
    case .element(let name, let children):
      output += "\(indent)<\(name)>\n"
      for child in children { child.write(to: &output, indent: indent + "    ") }
      output += "\(indent)</\(name)>\n"
    }
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }
}
