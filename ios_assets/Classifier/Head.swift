import Foundation

// What `model_maker codegen` writes for a backbone and a head holds this text from here on.

/// A head in numbers: it knows features, not photos.
public final class Head {
  public enum Failure: LocalizedError {
    case noHead
    case anotherBackbone
    case noName
    case notTaught

    public var errorDescription: String? {
      switch self {
      case .noHead: return "This is no head of model_maker export --split."
      case .anotherBackbone: return "This head is for another backbone."
      case .noName: return "This is not a name for a new class."
      case .notTaught: return "This class was not taught."
      }
    }
  }

  private struct Content: Decodable {
    struct Teach: Decodable {
      let center: Data
      let divisor: Data
      let length: Double
      let offset: Double
    }
    let format: String
    let backbone_sha256: String
    let labels: [String]
    let kernel: Data
    let steps: [Double]
    let bias: [Double]
    let teach: Teach
  }

  private struct Taught: Codable {
    var count: Int
    var sum: [Double]
  }

  private struct Saved: Codable {
    let backbone_sha256: String
    let taught: [String: Taught]
  }

  /// The sha256 of the backbone that the features come from.
  private let backbone: String
  private let content: Content
  private let center: [Double]
  private let divisor: [Double]
  private var order: [String] = []
  private var learned: [String: Taught] = [:]

  /// Reads the content of head.json, for the backbone of this sha256, and what `save` returned earlier.
  public init(_ json: Data, backbone: String, taught: Data? = nil) throws {
    self.backbone = backbone
    content = try JSONDecoder().decode(Content.self, from: json)
    guard content.format == "model_maker head 1" else { throw Failure.noHead }
    guard content.backbone_sha256 == backbone else { throw Failure.anotherBackbone }
    center = Self.floats(content.teach.center)
    divisor = Self.floats(content.teach.divisor)
    if let taught = taught {
      let saved = try JSONDecoder().decode(Saved.self, from: taught)
      guard saved.backbone_sha256 == backbone else { throw Failure.anotherBackbone }
      learned = saved.taught.filter { !content.labels.contains($0.key) }
      order = learned.keys.sorted()
    }
  }

  /// How many features it takes.
  public var features: Int { center.count }

  /// The head's own labels, then those that were taught.
  public var labels: [String] { content.labels + order }

  /// How many photos each taught label has.
  public var taught: [String: Int] { learned.mapValues { $0.count } }

  /// Learns a new label, or another photo of one that was taught.
  public func teach(_ label: String, _ features: [Float]) throws {
    let name = label.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !name.isEmpty, !content.labels.contains(label) else { throw Failure.noName }
    if learned[label] == nil { order.append(label) }
    var known = learned[label] ?? Taught(count: 0, sum: [Double](repeating: 0, count: center.count))
    known.count += 1
    for at in center.indices { known.sum[at] += Double(features[at]) }
    learned[label] = known
  }

  /// Takes a taught label back.
  public func forget(_ label: String) throws {
    guard learned.removeValue(forKey: label) != nil else { throw Failure.notTaught }
    order.removeAll { $0 == label }
  }

  /// What was taught, for another Head on this backbone.
  public func save() throws -> Data {
    try JSONEncoder().encode(Saved(backbone_sha256: backbone, taught: learned))
  }

  /// A score for each of `labels`.
  public func scores(_ features: [Float]) -> [Double] {
    var logits: [Double] = []
    for label in content.labels.indices {
      var sum = 0.0
      for at in center.indices {
        let weight = Int8(bitPattern: content.kernel[label * center.count + at])
        sum += Double(weight) * Double(features[at])
      }
      logits.append(sum * content.steps[label] + content.bias[label])
    }
    for label in order {
      guard let one = learned[label] else { continue }
      let direction = center.indices.map { (one.sum[$0] / Double(one.count) - center[$0]) / divisor[$0] }
      let squares = direction.reduce(0) { $0 + $1 * $1 }
      let length = squares > 0 ? squares.squareRoot() : 1
      var logit = 0.0
      for at in center.indices {
        let row = direction[at] * (content.teach.length / length) / divisor[at]
        logit += row * (Double(features[at]) - center[at])
      }
      logits.append(logit + content.teach.offset)
    }
    let most = logits.max() ?? 0
    let powers = logits.map { exp($0 - most) }
    let total = powers.reduce(0, +)
    return powers.map { $0 / total }
  }

  private static func floats(_ data: Data) -> [Double] {
    data.withUnsafeBytes { bytes in
      (0..<data.count / 4).map {
        let bits = bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)
        return Double(Float(bitPattern: UInt32(littleEndian: bits)))
      }
    }
  }
}
