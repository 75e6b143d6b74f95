import Foundation
import TensorFlowLite

/// One label with its score, from 0 to 1.
struct Prediction: Identifiable {
  let id: Int
  let label: String
  let score: Float
}

/// What a model says of a photo, and how long it took: the inference alone, without resizing.
struct Answer {
  let predictions: [Prediction]
  let latencyMs: Double
  var labelSet: [String] = []  // the labels of which one is right as often as the model promises
}

/// A model in LiteRT's interpreter, for one thread at a time.
final class Classifier {
  enum Failure: LocalizedError {
    case shape([Int])
    case type
    case labels(Int, Int)

    var errorDescription: String? {
      switch self {
      case .shape(let shape): return "model.tflite takes \(shape), not a square photo."
      case .type: return "The edges of model.tflite are neither uint8 nor float32."
      case .labels(let scores, let labels): return "model.tflite gives \(scores) scores but carries \(labels) labels."
      }
    }
  }

  private let model: ModelFile
  private let interpreter: Interpreter
  private let size: Int

  /// Opens model.tflite among the app's resources; `threads` are those inside one inference on the CPU.
  init(threads: Int = 2, delegate: Delegate? = nil) throws {
    guard let path = Bundle.main.path(forResource: ModelFile.name, ofType: ModelFile.type) else {
      throw ModelFile.Failure.missing
    }
    let model = try ModelFile(contentsOf: path)
    var options = Interpreter.Options()
    options.threadCount = threads
    let interpreter = try Interpreter(modelPath: path, options: options, delegates: delegate.map { [$0] })
    try interpreter.allocateTensors()
    let image = try interpreter.input(at: 0), scores = try interpreter.output(at: 0)
    let shape = image.shape.dimensions
    guard shape.count == 4, shape[0] == 1, shape[1] == shape[2], shape[3] == 3 else { throw Failure.shape(shape) }
    for tensor in [image, scores] where tensor.dataType != .uInt8 && tensor.dataType != .float32 {
      throw Failure.type
    }
    guard let count = scores.shape.dimensions.last, count == model.labels.count else {
      throw Failure.labels(scores.shape.dimensions.last ?? 0, model.labels.count)
    }
    self.model = model
    self.interpreter = interpreter
    size = shape[1]
  }

  /// The best labels, best first; those of equal score in the model's order.
  func classify(_ photo: Photo, topK: Int = 3) throws -> Answer {
    let (scores, latencyMs) = try run(photo)
    let order = scores.indices.sorted { scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1] }
    let best = order.filter { scores[$0] >= model.thresholds[$0] }.prefix(topK)
    return Answer(
      predictions: best.map { Prediction(id: $0, label: model.labels[$0], score: scores[$0]) }, latencyMs: latencyMs,
      labelSet: model.labelSets.map { sets in sets.of(scores).map { model.labels[$0] } } ?? [])
  }

  /// A score for each label, and how long the inference took.
  func run(_ photo: Photo) throws -> (scores: [Float], latencyMs: Double) {
    let pixels = photo.stretched(to: size)
    let image = try interpreter.input(at: 0)
    let normalized = pixels.map { (Float($0) - model.mean) / model.std }
    let input = image.dataType == .uInt8 ? Data(pixels) : normalized.withUnsafeBufferPointer { Data(buffer: $0) }
    try interpreter.copy(input, toInputAt: 0)
    let start = DispatchTime.now().uptimeNanoseconds
    try interpreter.invoke()
    let latencyMs = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e6
    return (values(of: try interpreter.output(at: 0)), latencyMs)
  }

  private func values(of tensor: Tensor) -> [Float] {
    if tensor.dataType == .float32 {
      return tensor.data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
    let scale = tensor.quantizationParameters?.scale ?? 1, zeroPoint = tensor.quantizationParameters?.zeroPoint ?? 0
    return tensor.data.map { Float(Int($0) - zeroPoint) * scale }
  }
}
