using System.Buffers;
using System.Collections.Concurrent;
using LlmProxy.Neutral;

namespace LlmProxy.Translation;

/// <summary>
/// What models signed in the turns in which they called tools, by the id of the call. Providers want their reasoning back with the tool's result, and clients of many formats
/// have no place to carry it. It is kept for the virtual key that asked, for an hour, in memory: the oldest go first.
/// </summary>
internal sealed class SignatureMemory(TimeProvider clock)
{
    /// <summary>The most bytes kept.</summary>
    public const long MaxBytes = 64 * 1024 * 1024;

    /// <summary>The most bytes of one turn.</summary>
    private const int MaxTurnBytes = 1024 * 1024;

    private static readonly TimeSpan Life = TimeSpan.FromHours(1);

    private readonly ConcurrentDictionary<(string Key, string Call), SignedTurn> turns = new();
    private readonly Queue<((string Key, string Call) At, SignedTurn Turn)> ages = new();
    private readonly Lock gate = new();
    private long bytes;

    /// <summary>Puts back what a request's assistant turns have lost.</summary>
    /// <param name="keyId">Whose request it is.</param>
    /// <param name="request">The request.</param>
    /// <param name="family">Whose signatures the target takes; null: it takes none.</param>
    public void Restore(string keyId, NeutralRequest request, string? family)
    {
        if (family is null || turns.IsEmpty)
        {
            return;
        }
        foreach (var message in request.Messages)
        {
            if (message.Role == NeutralRole.Assistant)
            {
                Restore(keyId, message, family);
            }
        }
    }

    /// <summary>Keeps a turn under each of its calls.</summary>
    public void Keep(string keyId, SignedTurn turn, IReadOnlyList<string> callIds)
    {
        if (turn.Bytes > MaxTurnBytes)
        {
            return;
        }
        lock (gate)
        {
            var now = clock.GetUtcNow();
            turn.KeptAt = now;
            foreach (var id in callIds)
            {
                turns[(keyId, id)] = turn;
                ages.Enqueue(((keyId, id), turn));
                bytes += turn.Bytes;
            }
            while (ages.TryPeek(out var oldest) && (bytes > MaxBytes || oldest.Turn.KeptAt + Life < now))
            {
                ages.Dequeue();
                bytes -= oldest.Turn.Bytes;
                turns.TryRemove(new KeyValuePair<(string, string), SignedTurn>(oldest.At, oldest.Turn));
            }
        }
    }

    private void Restore(string keyId, NeutralMessage message, string family)
    {
        var hasReasoning = message.Parts.Exists(part => part is ReasoningPart { Signature.Family: var own } && own == family);
        for (var i = 0; i < message.Parts.Count; i++)
        {
            if (message.Parts[i] is not ToolCallPart call || !turns.TryGetValue((keyId, call.Id.ToString()), out var turn) || turn.Family != family || turn.KeptAt + Life < clock.GetUtcNow())
            {
                continue;
            }
            if (call.Signature is null && turn.Calls.TryGetValue(call.Id.ToString(), out var signature))
            {
                call.Signature = signature;
            }
            if (!hasReasoning && turn.Reasoning.Count > 0)
            {
                message.Parts.RemoveAll(part => part is ReasoningPart); // the same thoughts without their signature
                message.Parts.InsertRange(0, turn.Reasoning);
                hasReasoning = true;
                i = message.Parts.IndexOf(call);
            }
        }
    }
}

/// <summary>What a model signed in one turn.</summary>
/// <param name="Family">Whose signatures they are.</param>
internal sealed record SignedTurn(string Family)
{
    /// <summary>Its reasoning before its first call, in order.</summary>
    public List<ReasoningPart> Reasoning { get; } = [];

    /// <summary>Signatures of the calls themselves, by their ids.</summary>
    public Dictionary<string, NeutralSignature> Calls { get; } = new(StringComparer.Ordinal);

    /// <summary>How much of the memory it takes.</summary>
    public long Bytes { get; set; }

    public DateTimeOffset KeptAt { get; set; }
}

/// <summary>Collects what a model signs while its answer passes.</summary>
internal sealed class SignatureKeeper(SignatureMemory memory, string keyId, string family)
{
    private readonly SignedTurn turn = new(family);
    private readonly List<string> calls = [];
    private readonly Dictionary<int, string> callBlocks = [];
    private readonly Dictionary<int, Thought> thoughts = [];

    public void Begin(int block, in BlockStart start)
    {
        if (start.Kind == BlockKind.ToolCall && !start.IdToken.IsEmpty)
        {
            var id = new JsonText(start.IdToken.ToArray()).ToString();
            calls.Add(id);
            callBlocks[block] = id;
        }
        else if (start.Kind is BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning && calls.Count == 0)
        {
            thoughts[block] = new Thought { Kind = start.Kind, Id = start.IdToken.ToArray() };
        }
    }

    public void Delta(int block, ReadOnlySpan<byte> text)
    {
        if (thoughts.Count > 0 && thoughts.TryGetValue(block, out var thought) && text.Length > 2)
        {
            thought.Text.Write(text[1..^1]);
        }
    }

    public void Sign(int block, string signedBy, ReadOnlySpan<byte> dataToken)
    {
        if (signedBy != family)
        {
            return;
        }
        var signature = new NeutralSignature(family, new JsonText(dataToken.ToArray()));
        if (callBlocks.TryGetValue(block, out var call))
        {
            turn.Calls[call] = signature;
            turn.Bytes += dataToken.Length;
        }
        else if (thoughts.TryGetValue(block, out var thought))
        {
            thought.Signature = signature;
        }
    }

    /// <summary>The answer is complete: keeps what it signed, where it calls tools.</summary>
    public void Keep()
    {
        foreach (var (_, thought) in thoughts.Where(pair => pair.Value.Signature is not null).OrderBy(pair => pair.Key))
        {
            turn.Reasoning.Add(new ReasoningPart
            {
                Text = thought.Kind == BlockKind.RedactedReasoning ? default : JsonText.FromEscaped(thought.Text.WrittenSpan),
                IsSummary = thought.Kind == BlockKind.ReasoningSummary,
                IsRedacted = thought.Kind == BlockKind.RedactedReasoning,
                Id = new JsonText(thought.Id),
                Signature = thought.Signature,
            });
            turn.Bytes += thought.Text.WrittenCount + thought.Signature!.Data.Token.Length;
        }
        if (calls.Count > 0 && turn.Bytes > 0)
        {
            memory.Keep(keyId, turn, calls);
        }
    }

    private sealed class Thought
    {
        public BlockKind Kind { get; init; }

        public byte[] Id { get; init; } = [];

        public ArrayBufferWriter<byte> Text { get; } = new();

        public NeutralSignature? Signature { get; set; }
    }
}
