using System.Buffers;
using LlmProxy.Errors;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Relay;

/// <summary>What an event of a stream is to the relay.</summary>
internal enum ChunkKind
{
    /// <summary>Nothing that a user would see: a role, empty deltas, a comment.</summary>
    Lifecycle,

    /// <summary>Some of the answer, or its end.</summary>
    Content,

    /// <summary>The chunk without choices that carries the usage (OpenAI Chat alone).</summary>
    UsageOnly,

    /// <summary>The upstream says that it failed.</summary>
    Error,

    /// <summary>The last event of a complete stream.</summary>
    Done,

    /// <summary>Nothing that belongs into such a stream.</summary>
    Garbage,
}

/// <summary>Watches a stream that is relayed: what it used, whether it has begun, and whether it ended as it should.</summary>
internal abstract class StreamWatch
{
    /// <summary>Whether there was anything that a user would see.</summary>
    public bool ContentBegun { get; protected set; }

    /// <summary>Whether the answer is complete but for the stream's last event.</summary>
    public bool Finished { get; protected set; }

    /// <summary>What was used, as far as it was said.</summary>
    public TokenUsage? Usage { get; protected set; }

    /// <summary>Whether <see cref="Usage"/> is a beginning, which says too little of what was produced since.</summary>
    public virtual bool IsUsagePartial => false;

    /// <summary>The tier that served it; null: not said.</summary>
    public string? ServiceTier { get; protected set; }

    /// <summary>The model's name where it differs from the expected one.</summary>
    public string? Model { get; protected set; }

    /// <summary>The answer's id, where its dialect's answers can be asked for again by it (Responses); null: not said.</summary>
    public string? AnswerId { get; protected set; }

    /// <summary>Whether <see cref="LastData"/> is wanted.</summary>
    public bool KeepsLast { get; set; }

    /// <summary>The data of the event with the whole answer, where it is wanted; empty: there was none.</summary>
    public ReadOnlyMemory<byte> LastData { get; protected set; }

    /// <summary>The last event that a stream without one is completed by, where it is <see cref="Finished"/>; empty: a finished stream needs none.</summary>
    public virtual ReadOnlySpan<byte> LastEvent => default;

    /// <summary>Whether the unfinished data at the stream's end is all that is missing of its last event.</summary>
    public virtual bool IsLastData(ReadOnlySpan<byte> data) => false;

    /// <summary>Takes note of one event.</summary>
    /// <param name="name">Its name; empty: it has none.</param>
    /// <param name="data">Its data; empty: it has none.</param>
    public abstract ChunkKind Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data);

    /// <summary>Writes the event by which the format says that the answer broke off.</summary>
    public virtual void WriteError(GatewayError error, IBufferWriter<byte> output)
    {
        output.Write("data: "u8);
        OpenAiErrorFormat.WriteJson(output, error);
        output.Write("\n\n"u8);
    }
}
