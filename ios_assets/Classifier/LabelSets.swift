/// How many labels to show so that the right one is among them for a promised share of photos.
struct LabelSets {
  /// Its name in the model's zip, behind the name of the head where there are several.
  static let file = "label_sets.csv"

  /// That share, for example 0.95.
  let coverage: Float
  private let limits: [Float]

  /// Reads the file: the coverage in the first line, then the limit of each label before the first comma.
  init(_ text: String, labels: Int) throws {
    let numbers = text.split(separator: "\n").map { Float($0.prefix { $0 != "," }) }
    guard numbers.count == labels + 1, !numbers.contains(nil), let first = numbers[0] else {
      throw ModelFile.Failure.damaged
    }
    coverage = first
    limits = numbers.dropFirst().compactMap { $0 }
  }

  /// The labels to show for some scores, by their index, best first; the best one always.
  func of(_ scores: [Float]) -> [Int] {
    let order = scores.indices.sorted { scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1] }
    return order.prefix(1) + order.dropFirst().filter { scores[$0] >= limits[$0] }
  }
}
