import Foundation
import TensorFlowLite

/// One label with its score, from 0 to 1.
struct Prediction: Identifiable {
  let id: Int
  let label: String
  let score: Float
}

/// What one head says; a model that has several names them.
struct HeadAnswer: Identifiable {
  let id: Int
  let head: String
  let predictions: [Prediction]
  let labelSet: [String]  // the labels of which one is right as often as the model promises

  init(
    id: Int, head: String, scores: [Float], labels: [String], thresholds: [Float], topK: Int, labelSets: LabelSets? = nil
  ) {
    self.id = id
    self.head = head
    let order = scores.indices.sorted { scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1] }
    let best = order.filter { scores[$0] >= thresholds[$0] }.prefix(topK)
    predictions = best.map { Prediction(id: $0, label: labels[$0], score: scores[$0]) }
    labelSet = labelSets.map { sets in sets.of(scores).map { labels[$0] } } ?? []
  }
}

/// What a model says of a photo, and how long it took: the inference alone, without resizing.
struct Answer {
  let heads: [HeadAnswer]
  let latencyMs: Double
}

/// A model in LiteRT's interpreter, for one thread at a time.
final class Classifier {
  enum Failure: LocalizedError {
    case labels(Int, Int)

    var errorDescription: String? {
      switch self {
      case .labels(let scores, let labels): return "model.tflite gives \(scores) scores but carries \(labels) labels."
      }
    }
  }

  private let network: Network

  /// Opens model.tflite among the app's resources; `threads` are those inside one inference on the CPU.
  init(threads: Int = 2, delegate: Delegate? = nil) throws {
    guard let path = Bundle.main.path(forResource: ModelFile.name, ofType: ModelFile.type) else {
      throw ModelFile.Failure.missing
    }
    network = try Network(path: path, threads: threads, delegate: delegate)
    if network.file.heads.isEmpty { throw ModelFile.Failure.noLabels }
    for (head, count) in zip(network.file.heads, try network.sizes()) where head.labels.count != count {
      throw Failure.labels(count, head.labels.count)
    }
  }

  /// The best labels of each head, best first, those of equal score in the model's order; all of a photo that may have
  /// several.
  func classify(_ photo: Photo, topK: Int = 3) throws -> Answer {
    let found = try network.run(photo), file = network.file
    let answers = file.heads.indices.map {
      HeadAnswer(
        id: $0, head: file.heads.count > 1 ? file.heads[$0].name : "", scores: found.values[$0],
        labels: file.heads[$0].labels, thresholds: file.heads[$0].thresholds,
        topK: file.multiLabel ? file.heads[$0].labels.count : topK, labelSets: file.heads[$0].labelSets)
    }
    return Answer(heads: answers, latencyMs: found.latencyMs)
  }

  /// A score for each label of the first head, which the self-test states, and how long the inference took.
  func run(_ photo: Photo) throws -> (scores: [Float], latencyMs: Double) {
    let found = try network.run(photo)
    return (found.values[0], found.latencyMs)
  }
}
