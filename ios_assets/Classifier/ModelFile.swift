import Foundation

/// One output: its name, its labels, and the least score worth showing of each.
struct ModelHead {
  let name: String
  let labels: [String]
  let thresholds: [Float]
  let labelSets: LabelSets?  // how many labels to show, where the model promises a coverage
}

/// What a `.tflite` says of itself: the labels of each output, how photos become its input.
///
/// Metadata is a flatbuffer inside the model's flatbuffer, the labels a file in the zip that is appended to it. Both are
/// read here, field by field as TensorFlow Lite's metadata_schema.fbs numbers them, so no library is needed for it.
struct ModelFile {
  /// The model among the app's resources, where `model_maker export --ios` puts it.
  static let name = "model"
  static let type = "tflite"

  enum Failure: LocalizedError {
    case missing
    case noModel
    case damaged
    case noLabels
    case unknownResize

    var errorDescription: String? {
      switch self {
      case .missing: return "There is no model.tflite in the app. Put one there: model_maker export MODEL --ios FOLDER"
      case .noModel: return "model.tflite is not a .tflite file."
      case .damaged: return "The metadata of model.tflite is damaged."
      case .noLabels: return "The metadata of model.tflite names no labels."
      case .unknownResize: return "model.tflite fits photos in a way that this app does not know."
      }
    }
  }

  let mean: Float
  let std: Float
  let multiLabel: Bool  // whether a photo may have several labels, or none
  let resize: Fit.Resize  // how photos are fitted to the input
  let heads: [ModelHead]  // of a backbone, none

  init(contentsOf path: String) throws {
    try self.init(Bytes(data: try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)))
  }

  private init(_ bytes: Bytes) throws {
    guard bytes.data.count > 8, try bytes.int32(4) == Self.modelMark else { throw Failure.noModel }
    guard let part = try Self.metadata(bytes).tables(3).first, let image = try part.tables(2).first else {
      throw Failure.noLabels
    }
    let normalization = try image.tables(4).first { try $0.byte(0) == Self.normalization }?.table(1)
    mean = try normalization?.floats(0).first ?? 0
    std = try normalization?.floats(1).first ?? 1
    resize = try Self.resize(image, bytes)
    multiLabel = try bytes.storedFile(Self.provenance)?.contains(Self.severalLabels) ?? false
    let outputs = try part.tables(3)
    heads = try outputs.compactMap { try Self.head($0, bytes, prefix: outputs.count > 1 ? "\(try $0.text(0))_" : "") }
  }

  /// Reads an output; `prefix` stands before the names of its files where there are several.
  private static func head(_ scores: Table, _ bytes: Bytes, prefix: String) throws -> ModelHead? {
    guard let file = try scores.tables(6).first(where: { try $0.byte(2) == Self.axisLabels }) else { return nil }
    guard let text = try bytes.storedFile(try file.text(0)) else { throw Failure.noLabels }
    let labels = (text.hasSuffix("\n") ? String(text.dropLast()) : text).components(separatedBy: "\n")
    let threshold = try scores.tables(4).first { try $0.byte(0) == Self.thresholding }?.table(1)?.float(0) ?? 0
    let own = try ownThresholds(scores, bytes, file: prefix + Self.labelThresholds, count: labels.count)
    let sets = try bytes.storedFile(prefix + LabelSets.file).map { try LabelSets($0, labels: labels.count) }
    return ModelHead(
      name: try scores.text(0), labels: labels, thresholds: own.map { max(threshold, $0) }, labelSets: sets)
  }

  /// How photos are fitted to the input; a file that does not say stretches them.
  private static func resize(_ image: Table, _ bytes: Bytes) throws -> Fit.Resize {
    guard try image.tables(6).contains(where: { try $0.text(0) == Self.resizeFile }) else { return .stretch }
    guard let text = try bytes.storedFile(Self.resizeFile), let found = Fit.Resize(rawValue: text) else {
      throw Failure.unknownResize
    }
    return found
  }

  /// The pictures and scores by which the app tests delegates; nil where the model has none.
  static func selfTest() throws -> SelfTest? {
    guard let path = Bundle.main.path(forResource: name, ofType: type) else { throw Failure.missing }
    let bytes = Bytes(data: try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe))
    guard let text = try bytes.storedFile("self_test.csv") else { return nil }
    let lines = text.components(separatedBy: "\n")
    guard let tolerance = Float(lines[0]) else { throw Failure.damaged }
    let pictures = try lines.dropFirst().indices.map { line -> Data in
      guard let picture = try bytes.storedData("self_test_\(line - 1).png") else { throw Failure.damaged }
      return picture
    }
    let scores = lines.dropFirst().map { $0.components(separatedBy: ",").compactMap { Float($0) } }
    return SelfTest(pictures: pictures, scores: scores, tolerance: tolerance)
  }

  /// Those of single labels, 0 where there are none.
  private static func ownThresholds(_ scores: Table, _ bytes: Bytes, file: String, count: Int) throws -> [Float] {
    guard try scores.tables(6).contains(where: { try $0.text(0) == file }), let text = try bytes.storedFile(file)
    else { return Array(repeating: 0, count: count) }
    let own = text.components(separatedBy: "\n").map { Float($0.components(separatedBy: ",").last ?? "") ?? 0 }
    guard own.count == count else { throw Failure.damaged }
    return own
  }

  private static func metadata(_ bytes: Bytes) throws -> Table {
    let model = try Table(root: 0, of: bytes)
    guard let entry = try model.tables(6).first(where: { try $0.text(0) == "TFLITE_METADATA" }) else {
      throw Failure.noLabels
    }
    let buffers = try model.tables(4), number = try entry.int(1)
    guard buffers.indices.contains(number), let start = try buffers[number].vector(0) else { throw Failure.damaged }
    return try Table(root: start, of: bytes)
  }

  private static let modelMark = 0x334C_4654  // "TFL3"
  private static let normalization = 1  // ProcessUnitOptions
  private static let thresholding = 3
  private static let axisLabels = 2  // AssociatedFileType
  private static let provenance = "model_maker.json"  // which other tools do not write
  private static let severalLabels = "\"multi_label\": true"
  private static let resizeFile = "resize.txt"
  private static let labelThresholds = "label_thresholds.csv"  // the last column, where labels have their own
}

/// A flatbuffer's table: fields are found by their number, and may be absent.
private struct Table {
  private let bytes: Bytes
  private let at: Int

  init(at place: Int, of bytes: Bytes) {
    self.bytes = bytes
    at = place
  }

  init(root place: Int, of bytes: Bytes) throws {
    try self.init(at: place + bytes.int32(place), of: bytes)
  }

  func byte(_ field: Int) throws -> Int { try place(field).map { try bytes.int8($0) } ?? 0 }

  func int(_ field: Int) throws -> Int { try place(field).map { try bytes.int32($0) } ?? 0 }

  func float(_ field: Int) throws -> Float { try place(field).map { try bytes.float($0) } ?? 0 }

  func table(_ field: Int) throws -> Table? { try place(field).map { Table(at: try follow($0), of: bytes) } }

  func tables(_ field: Int) throws -> [Table] { try items(field) { Table(at: try follow($0), of: bytes) } }

  func floats(_ field: Int) throws -> [Float] { try items(field) { try bytes.float($0) } }

  func text(_ field: Int) throws -> String {
    guard let start = try vector(field) else { return "" }
    return try bytes.text(start, count: try bytes.int32(start - 4))
  }

  /// Where the contents of a vector begin.
  func vector(_ field: Int) throws -> Int? { try place(field).map { try follow($0) + 4 } }

  private func items<Item>(_ field: Int, read: (Int) throws -> Item) throws -> [Item] {
    guard let start = try vector(field) else { return [] }
    let count = try bytes.int32(start - 4)
    guard 0...(bytes.data.count / 4) ~= count else { throw ModelFile.Failure.damaged }
    return try (0..<count).map { try read(start + 4 * $0) }
  }

  private func place(_ field: Int) throws -> Int? {
    let fields = try at - bytes.int32(at), slot = 4 + 2 * field
    let offset = try slot < bytes.int16(fields) ? bytes.int16(fields + slot) : 0
    return offset == 0 ? nil : at + offset
  }

  private func follow(_ place: Int) throws -> Int { try place + bytes.int32(place) }
}

/// Little-endian numbers and text in a file.
private struct Bytes {
  let data: Data

  func int8(_ at: Int) throws -> Int { try Int(number(at, 1)) }

  func int16(_ at: Int) throws -> Int { try Int(number(at, 2)) }

  func int32(_ at: Int) throws -> Int { try Int(Int32(bitPattern: number(at, 4))) }

  func float(_ at: Int) throws -> Float { try Float(bitPattern: number(at, 4)) }

  func text(_ at: Int, count: Int) throws -> String {
    try check(at, count)
    return String(decoding: data[at..<(at + count)], as: UTF8.self)
  }

  func storedFile(_ name: String) throws -> String? {
    try storedData(name).map { String(decoding: $0, as: UTF8.self) }
  }

  /// A file of the zip at the end, which stores without compression, as phone clients want it.
  func storedData(_ name: String) throws -> Data? {
    let last = data.count - 22
    guard last >= 0, let end = try (max(0, last - 0xFFFF)...last).reversed().first(where: { try int32($0) == 0x0605_4B50 })
    else { return nil }
    var entry = try end - int32(end + 12)
    let start = try entry - int32(end + 16)  // where the offsets count from
    for _ in 0..<(try int16(end + 10)) {
      let nameSize = try int16(entry + 28)
      if try text(entry + 46, count: nameSize) == name, try int16(entry + 10) == 0 {
        let local = try start + int32(entry + 42)
        let begin = try local + 30 + int16(local + 26) + int16(local + 28)
        let count = try int32(entry + 24)
        try check(begin, count)
        return data.subdata(in: begin..<(begin + count))
      }
      entry = try entry + 46 + nameSize + int16(entry + 30) + int16(entry + 32)
    }
    return nil
  }

  private func number(_ at: Int, _ count: Int) throws -> UInt32 {
    try check(at, count)
    return (0..<count).reversed().reduce(0) { $0 << 8 | UInt32(data[at + $1]) }
  }

  private func check(_ at: Int, _ count: Int) throws {
    guard at >= 0, count >= 0, at <= data.count - count else { throw ModelFile.Failure.damaged }
  }
}
