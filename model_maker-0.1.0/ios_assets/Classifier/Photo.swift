import CoreGraphics
import CoreVideo
import UIKit

/// Pixels with four bytes each, upright.
struct Photo {
  let width: Int
  let height: Int
  private let bytes: [UInt8]
  private let rowSize: Int
  /// Where red, green and blue are among the four.
  private let order: [Int]

  // A photo takes four bytes a pixel; larger ones are drawn smaller.
  private static let mostPixels: CGFloat = 24_000_000

  /// A frame of the camera in 32BGRA, which the capture connection has turned upright.
  init?(_ frame: CVPixelBuffer) {
    CVPixelBufferLockBaseAddress(frame, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(frame, .readOnly) }
    guard let start = CVPixelBufferGetBaseAddress(frame) else { return nil }
    width = CVPixelBufferGetWidth(frame)
    height = CVPixelBufferGetHeight(frame)
    rowSize = CVPixelBufferGetBytesPerRow(frame)
    bytes = [UInt8](UnsafeRawBufferPointer(start: start, count: rowSize * height))
    order = [2, 1, 0]
  }

  /// A picked photo, whose orientation UIKit knows; transparent parts become black.
  init?(_ image: UIImage) {
    let whole = CGSize(width: image.size.width * image.scale, height: image.size.height * image.scale)
    let shrink = max(1, (whole.width * whole.height / Self.mostPixels).squareRoot().rounded(.up))
    let size = CGSize(width: (whole.width / shrink).rounded(), height: (whole.height / shrink).rounded())
    guard let space = CGColorSpace(name: CGColorSpace.sRGB), size.width >= 1, size.height >= 1,
      let context = CGContext(
        data: nil, width: Int(size.width), height: Int(size.height), bitsPerComponent: 8, bytesPerRow: 0, space: space,
        bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
    else { return nil }
    // UIKit's origin is at the top, Core Graphics' at the bottom.
    context.translateBy(x: 0, y: size.height)
    context.scaleBy(x: 1, y: -1)
    UIGraphicsPushContext(context)
    image.draw(in: CGRect(origin: .zero, size: size))
    UIGraphicsPopContext()
    guard let start = context.data else { return nil }
    width = context.width
    height = context.height
    rowSize = context.bytesPerRow
    bytes = [UInt8](UnsafeRawBufferPointer(start: start, count: rowSize * height))
    order = [0, 1, 2]
  }

  /// Stretches to a square, as training did: bilinear between the four nearest pixels, half-pixel centres, no
  /// antialiasing. Core Graphics' own scaling differs.
  ///
  /// - Returns: red, green and blue of each pixel, row by row.
  func stretched(to size: Int) -> [UInt8] {
    var result = [UInt8]()
    result.reserveCapacity(size * size * 3)
    for row in 0..<size {
      let y = (Double(row) + 0.5) * (Double(height) / Double(size)) - 0.5
      let top = y.rounded(.down)
      let y0 = max(Int(top), 0) * rowSize, y1 = min(Int(top) + 1, height - 1) * rowSize
      for column in 0..<size {
        let x = (Double(column) + 0.5) * (Double(width) / Double(size)) - 0.5
        let left = x.rounded(.down)
        let x0 = max(Int(left), 0) * 4, x1 = min(Int(left) + 1, width - 1) * 4
        for channel in order {
          let a = Double(bytes[y0 + x0 + channel]), b = Double(bytes[y0 + x1 + channel])
          let c = Double(bytes[y1 + x0 + channel]), d = Double(bytes[y1 + x1 + channel])
          let upper = a + (b - a) * (x - left), lower = c + (d - c) * (x - left)
          result.append(UInt8(upper + (lower - upper) * (y - top)))
        }
      }
    }
    return result
  }
}
