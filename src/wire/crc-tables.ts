/** The eight tables of a reflected CRC-32 for slice-by-8: table `n` has what a byte comes to when `n` zero bytes follow it. */
export function crcTables(polynomial: number): readonly Int32Array[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256))
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    tables[0][byte] = crc
  }
  for (let slice = 1; slice < 8; slice++)
    for (let byte = 0; byte < 256; byte++) tables[slice][byte] = (tables[slice - 1][byte] >>> 8) ^ tables[0][tables[slice - 1][byte] & 0xff]
  return tables
}
