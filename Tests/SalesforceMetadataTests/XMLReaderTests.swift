import CExpat
import Testing

@testable import SalesforceMetadata

private func read(_ bytes: [UInt8]) throws -> XMLElement { try bytes.withUnsafeBytes { try XMLReader.read($0) } }

private func read(_ text: String) throws -> XMLElement { try read(Array(text.utf8)) }

private func fault(_ bytes: [UInt8]) -> XMLFault? {
  do { _ = try read(bytes) } catch let fault as XMLFault { return fault } catch {}
  return nil
}

private func fault(_ text: String) -> XMLFault? { fault(Array(text.utf8)) }

@Suite("What is read from XML, and what is refused")
struct XMLReaderTests {
  @Test func `elements have names, lines and texts`() throws {
    let root = try read(
      """
      <?xml version="1.0" encoding="utf-8"?>
      <!-- one
           comment -->
      <Package xmlns="http://soap.sforce.com/2006/04/metadata">
        <types><members>A&amp;B</members>
          <name> X &#x41; <![CDATA[<&>]]>
          </name></types>
        <!-- another --><version/>
      </Package>
      """)
    #expect(root.name == "Package" && root.line == 4 && root.isMetadata)
    let types = try #require(root.first("types"))
    #expect(types.first("members")?.text == "A&B" && types.line == 5)
    #expect(types.first("name")?.text == "X A <&>" && types.first("name")?.line == 6)
    #expect(root.first("version")?.isBlank == true && root.first("version")?.line == 8)
  }

  @Test func `a prefix says the same as a default namespace, and a byte order mark says nothing`() throws {
    let root = try read(
      "\u{FEFF}<m:Package xmlns:m=\"http://soap.sforce.com/2006/04/metadata\"><m:version>60.0</m:version></m:Package>")
    #expect(root.name == "Package" && root.isMetadata)
    #expect(root.first("version")?.text == "60.0")
    #expect(try !read("<Package/>").isMetadata)
  }

  @Test func `of keys, secrets and certificates nothing is kept but that they are there`() throws {
    let root = try read(
      "<a><consumerSecret>S3CRET</consumerSecret><consumerKey>K3Y</consumerKey><certificate> \n</certificate></a>")
    #expect(root.children.map(\.text) == ["", "", ""])
    #expect(root.children.map(\.isBlank) == [false, false, true])
  }

  @Test func `a name is no place for much text, nor is its namespace`() throws {
    let long = String(repeating: "n", count: 1_100)
    for text in ["<\(long)/>", "<a xmlns='\(long)'><b/><b/></a>", "<p:a xmlns:p='\(long)'/>"] {
      #expect(fault(text)?.text.contains("in a name") == true)
    }
  }

  @Test func `entities are refused before any is declared`() throws {
    let laughs =
      "<?xml version=\"1.0\"?>\n<!DOCTYPE a [<!ENTITY b \"lol\">"
      + (0..<9).map { "<!ENTITY b\($0) \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">" }.joined() + "]>\n<a>&b8;</a>"
    let found = try #require(fault(laughs))
    #expect(found.line == 2 && found.text.contains("document type"))
    #expect(fault("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>")?.text.contains("document type") == true)
    #expect(fault("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>") != nil)
    #expect(fault("<a>&undeclared;</a>") != nil)
  }

  @Test func `what is not in UTF-8 is refused`() {
    #expect(fault("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>")?.text.contains("UTF-8") == true)
    #expect(fault(Array("<a>".utf8) + [0xE9] + Array("</a>".utf8)) != nil)
    #expect(fault([0xFF, 0xFE] + "<a/>".utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }) != nil)
    #expect(fault(Array("<a>".utf8) + [0] + Array("</a>".utf8)) != nil)
  }

  @Test(arguments: ["", " ", "<a>", "<a></b>", "<a/><b/>", "<a", "text", "<a b=1/>", "<x:a/>", "<a>\u{1}</a>"])
  func `what is not well-formed is refused`(text: String) { #expect(fault(text) != nil) }

  @Test func `the line of a fault is where it is`() {
    #expect(fault("<a>\n<b>\n\n</a>")?.line == 4)
    #expect(fault("<a>\n\n")?.line == 3)
  }

  @Test func `levels, elements and texts have bounds`() throws {
    func nested(_ levels: Int) -> String {
      String(repeating: "<a>", count: levels) + String(repeating: "</a>", count: levels)
    }
    _ = try read(nested(32))
    #expect(fault(nested(33))?.text.contains("levels") == true)
    _ = try read("<a>" + String(repeating: "<b/>", count: 9_999) + "</a>")
    #expect(fault("<a>" + String(repeating: "<b/>", count: 10_000) + "</a>") != nil)
    _ = try read("<a>" + String(repeating: "x", count: 1 << 16) + "</a>")
    #expect(fault("<a>" + String(repeating: "x", count: 1 << 16 + 1) + "</a>") != nil)
    #expect(fault("<" + String(repeating: "x", count: 1 << 16) + "/>") != nil)
  }

  @Test func `libexpat is loaded by the first document, and not before`() async {
    await #expect(processExitsWith: .success) {
      let files = try AppMetadata(.externalClientApp, name: "A", runAs: "a@b.c", contact: "a@b.c").files(.source)
      #expect(!files.isEmpty && !cexpat_is_loaded())
      _ = try read("<a/>")
      #expect(cexpat_is_loaded())
    }
  }
}
