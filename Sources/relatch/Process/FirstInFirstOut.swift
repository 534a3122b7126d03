/// A queue that does not move the remaining elements each time one is taken.
struct FirstInFirstOut<Element> {
  private var elements: [Element] = []
  private var first = 0

  mutating func append(_ element: Element) { elements.append(element) }

  mutating func popFirst() -> Element? {
    guard first < elements.count else { return nil }
    defer {
      first += 1
      if first == elements.count { (elements, first) = ([], 0) }
    }
    return elements[first]
  }
}
