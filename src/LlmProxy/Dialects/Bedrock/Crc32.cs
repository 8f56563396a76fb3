namespace LlmProxy.Dialects.Bedrock;

/// <summary>The checksum of gzip and of AWS's event streams (RFC 1952 section 8), eight bytes at a time.</summary>
internal static class Crc32
{
    private static readonly uint[] Tables = NewTables();

    /// <summary>The checksum of some bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var tables = Tables;
        var crc = uint.MaxValue;
        while (bytes.Length >= 8)
        {
            crc ^= (uint)(bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24));
            crc = tables[0x700 + (crc & 0xFF)] ^ tables[0x600 + ((crc >> 8) & 0xFF)] ^ tables[0x500 + ((crc >> 16) & 0xFF)] ^ tables[0x400 + (crc >> 24)]
                ^ tables[0x300 + bytes[4]] ^ tables[0x200 + bytes[5]] ^ tables[0x100 + bytes[6]] ^ tables[bytes[7]];
            bytes = bytes[8..];
        }
        foreach (var value in bytes)
        {
            crc = (crc >> 8) ^ tables[(byte)crc ^ value];
        }
        return ~crc;
    }

    private static uint[] NewTables()
    {
        var tables = new uint[8 * 256];
        for (var value = 0; value < 256; value++)
        {
            var crc = (uint)value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0xEDB88320;
            }
            tables[value] = crc;
        }
        for (var at = 256; at < tables.Length; at++)
        {
            var before = tables[at - 256];
            tables[at] = (before >> 8) ^ tables[before & 0xFF];
        }
        return tables;
    }
}
