using System.Buffers;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Routing;

namespace LlmProxy.Dialects.Responses.Store;

/// <summary>Stands beside one request: puts what it refers to into its body, and keeps its answer.</summary>
/// <param name="store">Where answers are kept.</param>
/// <param name="keyId">The virtual key that asks.</param>
/// <param name="clock">The clock.</param>
/// <param name="connection">The connection that it comes over, whose answers can be gone on from there even if nobody shall store them; null: a request by itself.</param>
internal sealed class ResponseKeeper(ResponseStore store, string keyId, TimeProvider clock, string? connection = null) : IAnswerKeeper, IBodyRewriter
{
    private ReadOnlyMemory<byte> body;
    private ReadOnlyMemory<byte>? input;
    private List<ReadOnlyMemory<byte>> conversation = [];
    private string? previousInConnection;
    private bool goesOnElsewhere;
    private bool? isStored;

    /// <inheritdoc/>
    public string? PreviousAnswerId { get; private set; }

    /// <inheritdoc/>
    public string? Owner { get; private set; }

    /// <summary>
    /// Replaces <c>previous_response_id</c> by the conversation and references by their items, where this store has them. What it does not have is left as it is: the provider may.
    /// </summary>
    public ReadOnlyMemory<byte> Rewrite(ReadOnlyMemory<byte> body)
    {
        this.body = body;
        if (body.Span.IndexOf("previous_response_id"u8) < 0 && body.Span.IndexOf("item_reference"u8) < 0)
        {
            return default; // read again, if at all, when there is an answer to keep
        }
        try
        {
            return TryRewrite(body);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return default; // whoever reads it next says what is wrong with it
        }
    }

    /// <inheritdoc/>
    public void KeepAnswer(string id, ReadOnlySpan<byte> answer)
    {
        // What only its connection knows is nothing that it could be said to go on from elsewhere.
        var (items, previous) = previousInConnection is null ? (InputOf(body), PreviousAnswerId) : (Join(conversation), null);
        Keep(keyId, id, previous, items, answer);
    }

    /// <inheritdoc/>
    public void KeepRelayed(string id, ReadOnlySpan<byte> answer)
    {
        if (isStored ?? !JsonMembers.Of(body).Take("store"u8).IsFalse)
        {
            KeepAnswer(id, answer);
        }
    }

    /// <summary>Keeps an answer for its connection alone.</summary>
    /// <param name="asked">The request's body, as it came.</param>
    /// <param name="id">The answer's id.</param>
    /// <param name="output">Its items, as they stand between the brackets.</param>
    public void KeepForConnection(ReadOnlyMemory<byte> asked, string id, ReadOnlySpan<byte> output)
    {
        if (connection is not null && !goesOnElsewhere) // what a provider alone has cannot be gone on from
        {
            var items = previousInConnection is null && conversation.Count > 0 ? Join(conversation) : InputOf(asked);
            Keep(connection, id, previousInConnection, items, [.. "{\"output\":["u8, .. output, .. "]}"u8]);
        }
    }

    /// <inheritdoc/>
    public void KeepProvider(string id, string provider) => store.KeepProvider(keyId, id, provider);

    private void Keep(string scope, string id, string? previous, ReadOnlyMemory<byte> items, ReadOnlySpan<byte> answer)
    {
        if (items.Length + answer.Length <= ResponseStore.MaxEntryBytes)
        {
            store.Keep(new StoredResponse(scope, id, previous, items.ToArray(), answer.ToArray(), clock.GetUtcNow()));
        }
    }

    private ReadOnlyMemory<byte> InputOf(ReadOnlyMemory<byte> asked) => input ?? Resolve(JsonMembers.Of(asked).Take("input"u8)).Items;

    private ReadOnlyMemory<byte> TryRewrite(ReadOnlyMemory<byte> body)
    {
        var members = JsonMembers.Of(body);
        var (given, previous) = (members.Take("input"u8), members.Take("previous_response_id"u8));
        isStored = !members.Take("store"u8).IsFalse; // the body's buffer is used again
        members.Return("store"u8);
        var (items, hasResolved) = Resolve(given);
        List<ReadOnlyMemory<byte>> pieces = [];
        if (previous is { IsText: true, Raw.Length: <= 256 } && previous.Text.ToString() is var id)
        {
            if (connection is not null && store.TryReadConversation(connection, id, pieces))
            {
                PreviousAnswerId = previousInConnection = id;
            }
            else if (store.TryReadConversation(keyId, id, pieces))
            {
                PreviousAnswerId = id;
            }
        }
        goesOnElsewhere = previous.Exists && PreviousAnswerId is null;
        Owner = goesOnElsewhere && previous is { IsText: true, Raw.Length: <= 256 } ? store.FindProvider(keyId, previous.Text.ToString()) : null;
        if (PreviousAnswerId is null && !hasResolved)
        {
            return default;
        }
        input = items.ToArray();
        pieces.Add(input.Value);
        conversation = pieces;
        if (PreviousAnswerId is null && previous.Exists)
        {
            members.Return("previous_response_id"u8);
        }
        return Write(members, body, pieces);
    }

    /// <summary>The request's own items as they stand between brackets, references replaced.</summary>
    private (ReadOnlyMemory<byte> Items, bool HasResolved) Resolve(JsonValue given)
    {
        var output = new ArrayBufferWriter<byte>();
        if (given.IsText)
        {
            output.Write("{\"type\":\"message\",\"role\":\"user\",\"content\":"u8);
            output.WriteText(given.Text);
            output.WriteByte((byte)'}');
            return (output.WrittenMemory, false);
        }
        if (given.Raw.Span.IndexOf("item_reference"u8) < 0)
        {
            return (ResponseStore.Inner(given), false);
        }
        var hasResolved = false;
        var elements = new JsonArrayReader(given);
        while (elements.Next(out var element))
        {
            if (output.WrittenCount > 0)
            {
                output.WriteByte((byte)',');
            }
            ReadOnlyMemory<byte> item = default;
            if (element.IsObject && JsonMembers.Of(element.Raw) is var members && members.Take("type"u8).Is("item_reference"u8))
            {
                item = store.FindItem(keyId, members.Take("id"u8).Text.ToString());
            }
            hasResolved |= !item.IsEmpty;
            output.Write(item.IsEmpty ? element.Raw.Span : item.Span);
        }
        return (output.WrittenMemory, hasResolved);
    }

    private static ReadOnlyMemory<byte> Write(JsonMembers members, ReadOnlyMemory<byte> body, List<ReadOnlyMemory<byte>> pieces)
    {
        var output = new ArrayBufferWriter<byte>(body.Length + pieces.Sum(piece => piece.Length) + 64);
        var bag = new ExtensionBag();
        members.LeaveTo(bag);
        var json = new JsonObjectWriter(output);
        json.Members(bag);
        json.Name("input"u8);
        output.WriteByte((byte)'[');
        Join(pieces, output);
        output.WriteByte((byte)']');
        json.End();
        return output.WrittenMemory;
    }

    private static byte[] Join(List<ReadOnlyMemory<byte>> pieces)
    {
        var output = new ArrayBufferWriter<byte>(pieces.Sum(piece => piece.Length) + pieces.Count + 1);
        Join(pieces, output);
        return output.WrittenSpan.ToArray();
    }

    private static void Join(List<ReadOnlyMemory<byte>> pieces, ArrayBufferWriter<byte> output)
    {
        var any = false;
        foreach (var piece in pieces)
        {
            if (!piece.IsEmpty)
            {
                output.Write(any ? ","u8 : default);
                output.Write(piece.Span);
                any = true;
            }
        }
    }
}
