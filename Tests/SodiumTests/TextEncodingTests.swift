import Sodium
import Testing

@Suite("Base64")
struct TextEncodingTests {
  /// RFC 4648 §10.
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ("foobar", "Zm9vYmFy"),
  ])
  func theExamplesOfTheStandardAreWrittenAndRead(_ text: String, _ encoded: String) {
    #expect(Array(text.utf8).base64 == encoded)
    #expect([UInt8](base64: encoded) == Array(text.utf8))
  }

  /// Otherwise a proof or a note could be written in two ways.
  @Test(arguments: [
    "Z", "Zg", "Zg=", "Zm8", "Zm9vZ", "Zm9vYg", "Z===", "A===", "====", "=", "Zh==", "Zm9=", "Zg==Zg==", "Zg==\n",
    "Zm 9", "Zm_-",
  ])
  func noOtherTextIsRead(_ text: String) { #expect([UInt8](base64: text) == nil) }
}
