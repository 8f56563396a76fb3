using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;
using Shared.Admission;
using Shared.VirtualKeys;

namespace Shared.Ledger;

/// <summary>The start record of an attempt, as a slot of the journal holds it.</summary>
internal sealed record JournalEntry
{
    /// <summary>Bytes of a slot: its sequence, fixed fields, then texts with their lengths.</summary>
    public const int SlotBytes = 512;

    /// <summary>Bytes of the sequence, which the journal writes itself, last of all.</summary>
    public const int SequenceBytes = sizeof(long);

    private const int FixedBytes = 16 + 8 + 8 + 8 + 4 + 1 + 16;
    private const int Texts = 10;
    private const ushort None = ushort.MaxValue;

    public required long Sequence { get; init; }
    public required Guid Id { get; init; }
    public required long StartedAt { get; init; }
    public required long ReservedNano { get; init; }
    public required long ReservedTokens { get; init; }
    public required int Index { get; init; }
    public required CallKind Kind { get; init; }
    public required byte[] TraceId { get; init; }
    public required string KeyId { get; init; }
    public string? UserId { get; init; }
    public string? TeamId { get; init; }
    public string? CustomerId { get; init; }
    public required string Upstream { get; init; }
    public required string Name { get; init; }
    public string? PriceVersion { get; init; }
    public required string Revision { get; init; }
    public required string RequestId { get; init; }
    public required string RequestedName { get; init; }

    /// <summary>Writes an attempt's slot, all but the sequence. Texts that do not fit are cut between characters; who pays comes first, so that it is cut last.</summary>
    /// <param name="slot">Room of <see cref="SlotBytes"/> less the sequence.</param>
    /// <param name="attempt">The attempt.</param>
    /// <returns>Bytes written.</returns>
    public static int Write(Span<byte> slot, AttemptLease attempt)
    {
        attempt.Id.TryWriteBytes(slot, bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(slot[16..], attempt.StartedAt.ToUnixTimeMilliseconds());
        BinaryPrimitives.WriteInt64LittleEndian(slot[24..], attempt.Bound.Nano);
        BinaryPrimitives.WriteInt64LittleEndian(slot[32..], attempt.EstimatedTokens);
        BinaryPrimitives.WriteInt32LittleEndian(slot[40..], attempt.Index);
        slot[44] = (byte)attempt.Start.Kind;
        attempt.Request.TraceId.CopyTo(slot.Slice(45, 16));
        var texts = new TextWriter(slot[FixedBytes..], Texts);
        var key = attempt.Key;
        texts.Write(key.Id);
        texts.Write(key.IdOf(OwnerKind.User));
        texts.Write(key.IdOf(OwnerKind.Team));
        texts.Write(key.IdOf(OwnerKind.Customer));
        texts.Write(attempt.Start.Upstream);
        texts.Write(attempt.Start.Name);
        texts.Write(attempt.Start.PriceVersion);
        texts.Write(attempt.Request.Snapshot.Revision);
        texts.Write(attempt.Request.RequestId);
        texts.Write(attempt.Start.RequestedName);
        return FixedBytes + texts.Position;
    }

    /// <summary>Reads a slot that <see cref="Write"/> wrote.</summary>
    public static JournalEntry Read(long sequence, ReadOnlySpan<byte> slot)
    {
        var texts = new TextReader(slot[FixedBytes..]);
        return new JournalEntry
        {
            Sequence = sequence,
            Id = new Guid(slot[..16], bigEndian: true),
            StartedAt = BinaryPrimitives.ReadInt64LittleEndian(slot[16..]),
            ReservedNano = BinaryPrimitives.ReadInt64LittleEndian(slot[24..]),
            ReservedTokens = BinaryPrimitives.ReadInt64LittleEndian(slot[32..]),
            Index = BinaryPrimitives.ReadInt32LittleEndian(slot[40..]),
            Kind = (CallKind)slot[44],
            TraceId = slot.Slice(45, 16).ToArray(),
            KeyId = texts.Read() ?? "",
            UserId = texts.Read(),
            TeamId = texts.Read(),
            CustomerId = texts.Read(),
            Upstream = texts.Read() ?? "",
            Name = texts.Read() ?? "",
            PriceVersion = texts.Read(),
            Revision = texts.Read() ?? "",
            RequestId = texts.Read() ?? "",
            RequestedName = texts.Read() ?? "",
        };
    }

    private ref struct TextWriter(Span<byte> room, int texts)
    {
        private readonly Span<byte> room = room;
        private int left = texts;

        public int Position { get; private set; }

        public void Write(string? text)
        {
            // The lengths of the texts that are still to come are kept free.
            var fits = room[(Position + sizeof(ushort))..(room.Length - (--left * sizeof(ushort)))];
            var written = 0;
            if (text is not null)
            {
                Utf8.FromUtf16(text, fits, out _, out written);
            }
            BinaryPrimitives.WriteUInt16LittleEndian(room[Position..], text is null ? None : (ushort)written);
            Position += sizeof(ushort) + written;
        }
    }

    private ref struct TextReader(ReadOnlySpan<byte> room)
    {
        private ReadOnlySpan<byte> rest = room;

        public string? Read()
        {
            var length = BinaryPrimitives.ReadUInt16LittleEndian(rest);
            rest = rest[sizeof(ushort)..];
            if (length == None)
            {
                return null;
            }
            var text = Encoding.UTF8.GetString(rest[..length]);
            rest = rest[length..];
            return text;
        }
    }
}
