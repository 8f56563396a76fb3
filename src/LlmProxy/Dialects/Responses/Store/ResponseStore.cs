using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses.Store;

/// <summary>One answer as it is kept.</summary>
/// <param name="KeyId">The virtual key that asked; to every other one it does not exist.</param>
/// <param name="Id">Its id.</param>
/// <param name="PreviousId">The answer that it goes on from; null: it begins anew.</param>
/// <param name="Input">The items that were new in its request, as they stand between the brackets.</param>
/// <param name="Answer">The response, whole.</param>
/// <param name="KeptAt">Since when it is kept.</param>
internal sealed record StoredResponse(string KeyId, string Id, string? PreviousId, ReadOnlyMemory<byte> Input, ReadOnlyMemory<byte> Answer, DateTimeOffset KeptAt)
{
    /// <summary>What it takes up.</summary>
    public long Bytes => Input.Length + Answer.Length + 512;

    /// <summary>Its output, as it stands between the brackets.</summary>
    public ReadOnlyMemory<byte> Output => ResponseStore.Inner(JsonMembers.Of(Answer).Take("output"u8));

    /// <summary>Its items by their ids.</summary>
    public Dictionary<string, ReadOnlyMemory<byte>> Items { get; } = new(StringComparer.Ordinal);
}

/// <summary>
/// Answers of models whose providers keep none, for clients that ask for them again or go on from them; and which provider keeps the others. In memory, for each virtual key;
/// the oldest go first. Thread-safe.
/// </summary>
internal sealed class ResponseStore(TimeProvider clock)
{
    /// <summary>The most answers kept.</summary>
    public const int MaxCount = 20_000;

    /// <summary>The most bytes kept.</summary>
    public const long MaxBytes = 128 * 1024 * 1024;

    /// <summary>A larger answer, with its input, is not kept.</summary>
    public const long MaxEntryBytes = 16 * 1024 * 1024;

    /// <summary>The most ids of providers' own answers that are remembered.</summary>
    public const int MaxProviders = 100_000;

    /// <summary>The longest conversation, in answers.</summary>
    public const int MaxTurns = 1000;

    /// <summary>How long an answer is kept.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromHours(6);

    private readonly Lock gate = new();
    private readonly Dictionary<(string Key, string Id), StoredResponse> responses = [];
    private readonly Dictionary<(string Key, string Item), StoredResponse> items = [];
    private readonly Queue<StoredResponse> ages = new();
    private readonly Dictionary<(string Key, string Id), string> providers = [];
    private readonly Queue<(string Key, string Id)> providerAges = new();
    private long bytes;

    /// <summary>Keeps an answer.</summary>
    public void Keep(StoredResponse response)
    {
        if (response.Bytes > MaxEntryBytes)
        {
            return;
        }
        var elements = new JsonArrayReader(JsonMembers.Of(response.Answer).Take("output"u8));
        while (elements.Next(out var element))
        {
            if (element.IsObject && JsonMembers.Of(element.Raw).Take("id"u8).Text is { IsBlank: false } id)
            {
                response.Items[id.ToString()] = element.Raw;
            }
        }
        lock (gate)
        {
            RemoveLocked(response.KeyId, response.Id);
            responses[(response.KeyId, response.Id)] = response;
            foreach (var item in response.Items.Keys)
            {
                items[(response.KeyId, item)] = response;
            }
            ages.Enqueue(response);
            bytes += response.Bytes;
            var now = clock.GetUtcNow();
            while (ages.TryPeek(out var oldest) && (!IsKept(oldest) || bytes > MaxBytes || responses.Count > MaxCount || oldest.KeptAt + Life < now))
            {
                ages.Dequeue();
                if (IsKept(oldest))
                {
                    RemoveLocked(oldest.KeyId, oldest.Id);
                }
            }
        }
    }

    /// <summary>An answer of a key's; null: it has none of this id.</summary>
    public StoredResponse? Find(string keyId, string id)
    {
        lock (gate)
        {
            return responses.TryGetValue((keyId, id), out var found) && found.KeptAt + Life >= clock.GetUtcNow() ? found : null;
        }
    }

    /// <summary>An item of one of a key's answers; empty: there is none.</summary>
    public ReadOnlyMemory<byte> FindItem(string keyId, string id)
    {
        lock (gate)
        {
            return items.TryGetValue((keyId, id), out var found) && found.KeptAt + Life >= clock.GetUtcNow() ? found.Items[id] : default;
        }
    }

    /// <summary>Forgets an answer. False: there is none.</summary>
    public bool Remove(string keyId, string id)
    {
        lock (gate)
        {
            return RemoveLocked(keyId, id);
        }
    }

    /// <summary>The conversation up to an answer, its last output included, as it stands between the brackets of an array. False: an answer of it is no longer there.</summary>
    public bool TryReadConversation(string keyId, string id, List<ReadOnlyMemory<byte>> pieces)
    {
        List<StoredResponse> turns = [];
        for (string? at = id; at is not null; at = turns[^1].PreviousId)
        {
            if (turns.Count == MaxTurns || Find(keyId, at) is not { } turn)
            {
                return false;
            }
            turns.Add(turn);
        }
        for (var i = turns.Count - 1; i >= 0; i--)
        {
            pieces.Add(turns[i].Input);
            pieces.Add(turns[i].Output);
        }
        return true;
    }

    /// <summary>Remembers which provider keeps an answer.</summary>
    public void KeepProvider(string keyId, string id, string provider)
    {
        lock (gate)
        {
            if (providers.TryAdd((keyId, id), provider))
            {
                providerAges.Enqueue((keyId, id));
                if (providerAges.Count > MaxProviders)
                {
                    providers.Remove(providerAges.Dequeue());
                }
            }
        }
    }

    /// <summary>The id of the provider that keeps an answer of a key's; null: not known.</summary>
    public string? FindProvider(string keyId, string id)
    {
        lock (gate)
        {
            return providers.GetValueOrDefault((keyId, id));
        }
    }

    /// <summary>What stands between the brackets of an array.</summary>
    public static ReadOnlyMemory<byte> Inner(JsonValue array) => array.IsArray ? Trim(array.Raw[1..^1]) : default;

    private static ReadOnlyMemory<byte> Trim(ReadOnlyMemory<byte> inner) => inner.Trim(" \t\r\n"u8);

    private bool IsKept(StoredResponse response) => responses.TryGetValue((response.KeyId, response.Id), out var kept) && ReferenceEquals(kept, response);

    private bool RemoveLocked(string keyId, string id)
    {
        if (!responses.Remove((keyId, id), out var removed))
        {
            return false;
        }
        bytes -= removed.Bytes;
        foreach (var item in removed.Items.Keys)
        {
            if (items.TryGetValue((keyId, item), out var owner) && ReferenceEquals(owner, removed))
            {
                items.Remove((keyId, item));
            }
        }
        return true;
    }
}
