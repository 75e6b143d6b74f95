import TensorFlowLite
import UIKit

/// What came of the self-test on one delegate.
struct Trial {
  let delegate: String
  let passed: Bool
  /// The largest difference of a picture's scores, mean over pictures.
  let deviation: Float
  /// The median of the pictures.
  let latencyMs: Double
  /// Why it did not run.
  var problem: String?
}

/// Eight pictures inside the model and the scores that they have to get, as `model_maker export --self-test` puts them
/// there. A delegate may compute wrongly on one phone and rightly on all others.
struct SelfTest {
  let pictures: [Data]  // PNG of the input's size
  let scores: [[Float]]
  let tolerance: Float

  /// Runs the pictures on one delegate.
  func on(_ delegate: String, open: () throws -> Classifier) -> Trial {
    do {
      let model = try open()
      var apart = [Float](), times = [Double]()
      for (png, expected) in zip(pictures, scores) {
        guard let image = UIImage(data: png), let photo = Photo(image) else { throw ModelFile.Failure.damaged }
        let (found, latencyMs) = try model.run(photo)
        times.append(latencyMs)
        apart.append(zip(found, expected).map { abs($0 - $1) }.reduce(0) { $1.isNaN ? .nan : max($0, $1) })
      }
      let deviation = apart.reduce(0, +) / Float(apart.count)
      // NaN is within no tolerance.
      return Trial(
        delegate: delegate, passed: deviation <= tolerance, deviation: deviation,
        latencyMs: times.sorted()[times.count / 2])
    } catch {
      return Trial(
        delegate: delegate, passed: false, deviation: .nan, latencyMs: .nan, problem: error.localizedDescription)
    }
  }

  /// The fastest delegate that passed; nil if none did.
  static func fastest(_ trials: [Trial]) -> Trial? {
    trials.filter(\.passed).min { $0.latencyMs < $1.latencyMs }
  }
}

/// The delegates at hand, by name, and what makes them; the CPU needs none.
private let delegates: [(name: String, make: () -> Delegate?)] = [
  ("CPU", { nil }),
  ("GPU", { MetalDelegate() }),
  ("Core ML", { CoreMLDelegate() }),
]

extension Classifier {
  enum Unproven: LocalizedError {
    case missing(String)
    case failed([Trial])

    var errorDescription: String? {
      switch self {
      case .missing(let name): return "There is no delegate \(name) on this phone."
      case .failed(let trials): return "This phone does not reproduce the self-test of model.tflite: \(trials)"
      }
    }
  }

  /// Runs the model's self-test on each delegate at hand; nothing where it has none.
  static func selfTest() throws -> [Trial] {
    guard let test = try ModelFile.selfTest() else { return [] }
    return delegates.map { way in
      test.on(way.name) {
        let delegate = way.make()
        if way.name != "CPU", delegate == nil { throw Unproven.missing(way.name) }
        return try Classifier(delegate: delegate)
      }
    }
  }

  /// Opens the model on the fastest delegate that passes its self-test; on the CPU where it has none.
  static func proven() throws -> Classifier {
    let trials = try selfTest()
    if trials.isEmpty { return try Classifier() }
    guard let best = SelfTest.fastest(trials) else { throw Unproven.failed(trials) }
    return try Classifier(delegate: delegates.first { $0.name == best.delegate }?.make())
  }
}
