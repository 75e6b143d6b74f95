import Foundation
import TensorFlowLite

/// What each output of a network holds, and how long it took: the inference alone, without resizing.
struct Outputs {
  let values: [[Float]]
  let latencyMs: Double
}

/// A network that takes photos, in LiteRT's interpreter, for one thread at a time.
final class Network {
  enum Failure: LocalizedError {
    case shape([Int])
    case type

    var errorDescription: String? {
      switch self {
      case .shape(let shape): return "The model takes \(shape), not a photo."
      case .type: return "The edges of the model are neither uint8 nor float32."
      }
    }
  }

  let file: ModelFile
  private let interpreter: Interpreter
  private let fit: Fit

  /// Opens a `.tflite`; `threads` are those inside one inference on the CPU.
  init(path: String, threads: Int, delegate: Delegate? = nil) throws {
    file = try ModelFile(contentsOf: path)
    var options = Interpreter.Options()
    options.threadCount = threads
    interpreter = try Interpreter(modelPath: path, options: options, delegates: delegate.map { [$0] })
    try interpreter.allocateTensors()
    let image = try interpreter.input(at: 0)
    let shape = image.shape.dimensions
    guard shape.count == 4, shape[0] == 1, shape[3] == 3 else { throw Failure.shape(shape) }
    fit = Fit(height: shape[1], width: shape[2], resize: file.resize)
    for tensor in try results() + [image] where tensor.dataType != .uInt8 && tensor.dataType != .float32 {
      throw Failure.type
    }
  }

  /// How many numbers each output has.
  func sizes() throws -> [Int] { try results().map { $0.shape.dimensions.last ?? 0 } }

  func run(_ photo: Photo) throws -> Outputs {
    let pixels = photo.fitted(to: fit)
    let image = try interpreter.input(at: 0)
    let normalized = pixels.map { (Float($0) - file.mean) / file.std }
    let input = image.dataType == .uInt8 ? Data(pixels) : normalized.withUnsafeBufferPointer { Data(buffer: $0) }
    try interpreter.copy(input, toInputAt: 0)
    let start = DispatchTime.now().uptimeNanoseconds
    try interpreter.invoke()
    let latencyMs = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e6
    return Outputs(values: try results().map { values(of: $0) }, latencyMs: latencyMs)
  }

  private func results() throws -> [Tensor] {
    try (0..<max(1, file.heads.count)).map { try interpreter.output(at: $0) }
  }

  private func values(of tensor: Tensor) -> [Float] {
    if tensor.dataType == .float32 {
      return tensor.data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
    let scale = tensor.quantizationParameters?.scale ?? 1, zeroPoint = tensor.quantizationParameters?.zeroPoint ?? 0
    return tensor.data.map { Float(Int($0) - zeroPoint) * scale }
  }
}
