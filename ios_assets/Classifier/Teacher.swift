import CryptoKit
import Foundation

/// A backbone and a head: classifies as the model does, and learns further classes from photos.
///
/// `model_maker export --ios --teach` puts both files beside the model. What is taught is kept in the app's own folder,
/// in a file for each backbone.
final class Teacher {
  static let backboneFile = "backbone"
  static let headFile = "head"

  /// How many frames are learned while the button is held.
  static let frames = 5

  enum Failure: LocalizedError {
    case features

    var errorDescription: String? { "The backbone gives other features than head.json takes." }
  }

  private let network: Network
  private let head: Head
  private let kept: URL
  private var lesson = ""
  private var learned = 0
  private var wanted = 0

  /// Opens both files among the app's resources; nil where there are none.
  init?(threads: Int = 2) throws {
    guard let json = Bundle.main.url(forResource: Self.headFile, withExtension: "json"),
      let path = Bundle.main.path(forResource: Self.backboneFile, ofType: ModelFile.type)
    else { return nil }
    network = try Network(path: path, threads: threads)
    let digest = SHA256.hash(data: try Data(contentsOf: URL(fileURLWithPath: path)))
    let sha256 = digest.map { String(format: "%02x", $0) }.joined()
    let folder = try FileManager.default.url(
      for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    kept = folder.appendingPathComponent("taught-\(sha256).json")
    let taught = FileManager.default.fileExists(atPath: kept.path) ? try Data(contentsOf: kept) : nil
    head = try Head(try Data(contentsOf: json), backbone: sha256, taught: taught)
    guard try network.sizes() == [head.features] else { throw Failure.features }
  }

  /// How many frames each taught class has.
  var taught: [String: Int] { head.taught }

  /// How many frames the lesson has had; 0 when there is none.
  var frame: Int { learned < wanted ? learned : 0 }

  /// The best labels, best first; those of equal score in the head's order.
  func classify(_ photo: Photo, topK: Int = 3) throws -> Answer {
    let found = try network.run(photo), labels = head.labels
    let scores = head.scores(found.values[0]).map { Float($0) }
    let none = [Float](repeating: 0, count: labels.count)
    let answer = HeadAnswer(id: 0, head: "", scores: scores, labels: labels, thresholds: none, topK: topK)
    return Answer(heads: [answer], latencyMs: found.latencyMs)
  }

  /// The button is held: the frames that follow are of a class of this name.
  func begin(_ label: String) {
    lesson = label.trimmingCharacters(in: .whitespacesAndNewlines)
    learned = 0
    wanted = Self.frames
  }

  /// The button is released; a short press teaches one frame.
  func end() {
    if learned < wanted { wanted = max(1, learned) }
  }

  /// Learns a frame, as long as the lesson goes on; a name that cannot be taught ends it.
  func learn(_ photo: Photo) throws {
    if learned == wanted { return }
    do {
      try head.teach(lesson, try network.run(photo).values[0])
    } catch {
      wanted = learned
      throw error
    }
    learned += 1
    try keep()
  }

  /// Takes a taught class back.
  func forget(_ label: String) throws {
    try head.forget(label)
    try keep()
  }

  private func keep() throws { try head.save().write(to: kept, options: .atomic) }
}
