using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Shared.Ledger;

/// <summary>
/// Makes ids of ledger rows: UUID version 7 (RFC 9562), ordered by time. The random part is drawn once for the process and counted up (method 3 of
/// section 6.2 there), which needs no call of the system for each id and cannot repeat within the process.
/// </summary>
internal static class RowId
{
    private static readonly int ProcessBits = RandomNumberGenerator.GetInt32(1 << 12);
    private static long counter = BinaryPrimitives.ReadInt64BigEndian(RandomNumberGenerator.GetBytes(8));

    public static Guid Create(DateTimeOffset now)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes, now.ToUnixTimeMilliseconds() << 16 | 0x7000L | (uint)ProcessBits);
        BinaryPrimitives.WriteInt64BigEndian(bytes[8..], (Interlocked.Increment(ref counter) & 0x3FFF_FFFF_FFFF_FFFF) | unchecked((long)0x8000_0000_0000_0000));
        return new Guid(bytes, bigEndian: true);
    }
}
