using System.Collections.Concurrent;
using System.Globalization;
using System.Net.ServerSentEvents;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Hosting;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpHub.Serving;

#pragma warning disable MCP9006 // Declared obsolete together with the handshake, which most clients still do.

/// <summary>
/// Keeps the events of the streams of sessions for a while, so that a client whose connection was cut gets what it missed (specification 2025-11-25, basic/transports,
/// resumability and redelivery). In memory and bounded: what is oldest goes first, and who then asks for it is told that it is gone. Thread-safe.
/// </summary>
internal sealed class EventStore : ISseEventStreamStore, IDisposable
{
    /// <summary>The most bytes kept for one session.</summary>
    public const long MaxSessionBytes = 4L << 20;

    /// <summary>The most bytes kept in all.</summary>
    public const long MaxBytes = 64L << 20;

    /// <summary>How long an event is kept.</summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(5);

    /// <summary>How long clients are asked to wait before they come back.</summary>
    public static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    // The SDK's type of the event without a message; clients pass over types that they do not know.
    private const string Priming = "prime";

    // The first revision whose streams begin with an event to resume from; clients of older ones take it for a broken message.
    private const string FirstRevision = "2025-11-25";

    // What the runtime takes for an event, or a stream, beside the text.
    private const int EventOverhead = 160;
    private const int StreamOverhead = 640;

    private static readonly TimeSpan SweepPeriod = TimeSpan.FromSeconds(20);
    private static readonly JsonTypeInfo<JsonRpcMessage> MessageType = (JsonTypeInfo<JsonRpcMessage>)McpJson.Options.GetTypeInfo(typeof(JsonRpcMessage));

    private readonly Lock gate = new();
    private readonly ConcurrentDictionary<string, EventStream> streams = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SessionLine> sessions = new(StringComparer.Ordinal);
    private readonly LinkedList<EventStream> byAge = new();
    private readonly TimeProvider clock;
    private readonly ITimer sweep;
    private readonly CancellationTokenRegistration stopping;
    private volatile bool isStopping;
    private long bytes;

    /// <param name="clock">The time.</param>
    /// <param name="lifetime">Ends the streams that are read when the host stops, which the SDK does not; null: nothing does.</param>
    public EventStore(TimeProvider clock, IHostApplicationLifetime? lifetime = null)
    {
        this.clock = clock;
        sweep = clock.CreateTimer(_ => Sweep(), null, SweepPeriod, SweepPeriod);
        stopping = lifetime?.ApplicationStopping.UnsafeRegister(static store => ((EventStore)store!).EndReaders(), this) ?? default;
    }

    /// <summary>The time.</summary>
    public TimeProvider Clock => clock;

    /// <summary>Whether the client of a server can take a stream up again: its revision has a way to, and there is a session to do it in.</summary>
    public static bool CanResume(McpServer server) =>
        server.SessionId is { Length: > 0 } && string.CompareOrdinal(server.NegotiatedProtocolVersion, FirstRevision) >= 0 && server.NegotiatedProtocolVersion != ProtocolEras.Stateless;

    /// <summary>The bytes that are kept now, the runtime's own included as far as they can be counted.</summary>
    public long Bytes
    {
        get
        {
            lock (gate)
            {
                return bytes;
            }
        }
    }

    /// <summary>The streams of which something is kept now.</summary>
    public int Streams => streams.Count;

    public ValueTask<ISseEventStreamWriter> CreateStreamAsync(SseEventStreamOptions options, CancellationToken cancellationToken = default)
    {
        // Nobody who does not know the id from the stream itself can ask for its events, and the SDK compares the session besides.
        var stream = new EventStream(this, RandomNumberGenerator.GetHexString(16, lowercase: true), options.SessionId, options.StreamId) { Mode = options.Mode };
        lock (gate)
        {
            streams[stream.Id] = stream;
            if (!sessions.TryGetValue(stream.SessionId, out var line))
            {
                sessions[stream.SessionId] = line = new SessionLine();
            }
            stream.Line = line;
            stream.Place = byAge.AddLast(stream);
            stream.PlaceInLine = line.ByAge.AddLast(stream);
            Add(stream, StreamOverhead);
        }
        return ValueTask.FromResult<ISseEventStreamWriter>(new Writer(stream));
    }

    public ValueTask<ISseEventStreamReader?> GetStreamReaderAsync(string lastEventId, CancellationToken cancellationToken = default)
    {
        var dash = lastEventId.LastIndexOf('-');
        return ValueTask.FromResult<ISseEventStreamReader?>(
            dash > 0 && streams.TryGetValue(lastEventId[..dash], out var stream)
            && long.TryParse(lastEventId.AsSpan(dash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
            && stream.HoldsAllAfter(sequence) ? new Reader(stream, sequence) : null);
    }

    /// <summary>Where the stream on which a session's client listens can be taken up; null: nobody has listened yet.</summary>
    public string? LatestOfListening(string sessionId)
    {
        lock (gate)
        {
            return sessions.TryGetValue(sessionId, out var line) && line.ByAge.FirstOrDefault(stream => stream.IsListening) is { } stream ? stream.IdOf(stream.Last) : null;
        }
    }

    /// <summary>Whether somebody has taken a session's stream up again and reads it now.</summary>
    public bool IsRead(string sessionId, string streamId)
    {
        lock (gate)
        {
            return sessions.TryGetValue(sessionId, out var line) && line.ByAge.LastOrDefault(stream => stream.StreamId == streamId) is { IsRead: true };
        }
    }

    /// <summary>Whether an event is of the stream on which a client listens for what the server says by itself, and not of the answer to a request.</summary>
    public bool IsOfListening(string eventId) => eventId.LastIndexOf('-') is var dash and > 0 && streams.TryGetValue(eventId[..dash], out var stream) && stream.IsListening;

    /// <summary>A session has ended: nobody can ask for its events any more.</summary>
    public void Forget(string sessionId)
    {
        EventStream[] all;
        lock (gate)
        {
            all = sessions.TryGetValue(sessionId, out var line) ? [.. line.ByAge] : [];
        }
        foreach (var stream in all)
        {
            Drop(stream);
        }
    }

    public void Dispose()
    {
        stopping.Dispose();
        sweep.Dispose();
    }

    private void EndReaders()
    {
        isStopping = true;
        foreach (var stream in streams.Values)
        {
            stream.Wake();
        }
    }

    private void Sweep()
    {
        var oldest = clock.GetTimestamp() - (long)(MaxAge.TotalSeconds * clock.TimestampFrequency);
        foreach (var stream in streams.Values)
        {
            stream.DropBefore(oldest);
            if (stream.IsOver && stream.LastWritten < oldest)
            {
                Drop(stream);
            }
        }
    }

    private void Drop(EventStream stream)
    {
        lock (gate)
        {
            if (stream.Place is null)
            {
                return;
            }
            Add(stream, -stream.Clear());
            Remove(stream);
        }
        stream.End();
    }

    /// <summary>Takes a stream, of which nothing is kept any more, out of the books. Under the lock.</summary>
    private void Remove(EventStream stream)
    {
        streams.TryRemove(stream.Id, out _);
        byAge.Remove(stream.Place!);
        stream.Line!.ByAge.Remove(stream.PlaceInLine!);
        stream.Place = null;
        Add(stream, -StreamOverhead);
        if (stream.Line.ByAge.Count == 0)
        {
            sessions.Remove(stream.SessionId);
        }
    }

    /// <summary>Counts what a stream takes up. Under the lock.</summary>
    private void Add(EventStream stream, long change)
    {
        bytes += change;
        stream.Line!.Bytes += change;
    }

    /// <summary>Keeps an event, and lets the oldest go where it has become too much.</summary>
    private string Keep(EventStream stream, byte[]? data, TimeSpan? retry)
    {
        string id;
        lock (gate)
        {
            if (stream.Place is null)
            {
                // Its session is over: it goes on without being kept.
                return stream.IdOf(stream.Skip());
            }
            id = stream.IdOf(stream.Append(data, retry, clock.GetTimestamp()));
            MoveToEnd(stream);
            Add(stream, EventOverhead + (data?.Length ?? 0));
            Shrink(stream.Line!.ByAge, () => stream.Line.Bytes > MaxSessionBytes);
            Shrink(byAge, () => bytes > MaxBytes);
        }
        stream.Wake();
        return id;
    }

    /// <summary>Lets the oldest events of a line go while there is too much. Under the lock.</summary>
    private void Shrink(LinkedList<EventStream> line, Func<bool> isTooMuch)
    {
        // A stream of which nothing is left to let go, but which is still written to, stays.
        for (var left = line.Count; left > 0 && isTooMuch(); )
        {
            var oldest = line.First!.Value;
            if (oldest.DropOldest() is var freed and > 0)
            {
                Add(oldest, -freed);
                continue;
            }
            left--;
            if (oldest.IsOver)
            {
                Remove(oldest);
            }
            else
            {
                MoveToEnd(oldest);
            }
        }
    }

    private void MoveToEnd(EventStream stream)
    {
        byAge.Remove(stream.Place!);
        byAge.AddLast(stream.Place!);
        stream.Line!.ByAge.Remove(stream.PlaceInLine!);
        stream.Line.ByAge.AddLast(stream.PlaceInLine!);
    }

    /// <summary>The streams of one session, those first that go first, and what they take up. Under the lock.</summary>
    private sealed class SessionLine
    {
        public LinkedList<EventStream> ByAge { get; } = new();

        public long Bytes { get; set; }
    }

    private sealed class EventStream(EventStore store, string id, string sessionId, string streamId)
    {
        private readonly Lock events = new();
        private readonly Queue<KeptEvent> kept = new();
        private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private long last;
        private long firstKept = 1;
        private object? reader;
        private volatile bool isOver;

        public EventStore Store { get; } = store;

        public string Id { get; } = id;

        public string SessionId { get; } = sessionId;

        public string StreamId { get; } = streamId;

        public SseEventStreamMode Mode { get; set; }

        /// <summary>Its place in the line of those that go first; null: it has been let go. Under the store's lock.</summary>
        public LinkedListNode<EventStream>? Place { get; set; }

        /// <summary>Its place among those of its session. Under the store's lock.</summary>
        public LinkedListNode<EventStream>? PlaceInLine { get; set; }

        /// <summary>Those of its session.</summary>
        public SessionLine? Line { get; set; }

        public bool IsListening => StreamId == StreamableHttpServerTransport.UnsolicitedMessageStreamId;

        public bool IsOver => isOver;

        public bool IsRead
        {
            get
            {
                lock (events)
                {
                    return reader is not null;
                }
            }
        }

        /// <summary>The number of its last event; 0: it has none.</summary>
        public long Last
        {
            get
            {
                lock (events)
                {
                    return last;
                }
            }
        }

        public long LastWritten { get; private set; }

        public string IdOf(long sequence) => string.Create(CultureInfo.InvariantCulture, $"{Id}-{sequence}");

        public long Append(byte[]? data, TimeSpan? retry, long now)
        {
            lock (events)
            {
                LastWritten = now;
                kept.Enqueue(new KeptEvent(++last, data, retry, now));
                return last;
            }
        }

        public long Skip()
        {
            lock (events)
            {
                firstKept = ++last + 1;
                return last;
            }
        }

        public bool HoldsAllAfter(long sequence)
        {
            lock (events)
            {
                return sequence >= firstKept - 1 && sequence <= last;
            }
        }

        /// <summary>Drops the oldest event.</summary>
        /// <returns>What it took up; 0: there is none.</returns>
        public long DropOldest()
        {
            lock (events)
            {
                if (!kept.TryDequeue(out var first))
                {
                    return 0;
                }
                firstKept = first.Sequence + 1;
                return EventOverhead + (first.Data?.Length ?? 0);
            }
        }

        public void DropBefore(long oldest)
        {
            lock (Store.gate)
            {
                while (Place is not null && OldestIsBefore(oldest))
                {
                    Store.Add(this, -DropOldest());
                }
            }
        }

        /// <summary>Drops all. Returns what they took up.</summary>
        public long Clear()
        {
            var freed = 0L;
            while (DropOldest() is var one and > 0)
            {
                freed += one;
            }
            return freed;
        }

        /// <summary>Nothing more will be written.</summary>
        public void End()
        {
            isOver = true;
            Wake();
        }

        public void Wake()
        {
            lock (events)
            {
                changed.TrySetResult();
                changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        /// <summary>Begins to read in place of whoever read before: an event goes to one connection only.</summary>
        public object BeginReading()
        {
            var mine = new object();
            lock (events)
            {
                reader = mine;
            }
            Wake();
            return mine;
        }

        public void EndReading(object mine)
        {
            lock (events)
            {
                reader = reader == mine ? null : reader;
            }
        }

        /// <summary>The events after one, and what completes when there may be more; null events: they are gone, or somebody else reads now.</summary>
        public (List<KeptEvent>? Events, Task Changed, bool IsOver) After(long sequence, object mine)
        {
            lock (events)
            {
                return reader != mine || sequence < firstKept - 1
                    ? (null, Task.CompletedTask, true)
                    : ([.. kept.Where(one => one.Sequence > sequence)], changed.Task, isOver || Store.isStopping || Mode == SseEventStreamMode.Polling);
            }
        }

        private bool OldestIsBefore(long oldest)
        {
            lock (events)
            {
                return kept.TryPeek(out var first) && first.At < oldest;
            }
        }
    }

    private sealed record KeptEvent(long Sequence, byte[]? Data, TimeSpan? Retry, long At);

    private sealed class Writer(EventStream stream) : ISseEventStreamWriter
    {
        public ValueTask SetModeAsync(SseEventStreamMode mode, CancellationToken cancellationToken = default)
        {
            stream.Mode = mode;
            stream.Wake();
            return ValueTask.CompletedTask;
        }

        public ValueTask<SseItem<JsonRpcMessage?>> WriteEventAsync(SseItem<JsonRpcMessage?> sseItem, CancellationToken cancellationToken = default)
        {
            if (sseItem.EventId is not null)
            {
                return ValueTask.FromResult(sseItem);
            }
            // The event that only makes the stream resumable also says when to come back.
            var retry = sseItem.ReconnectionInterval ?? (sseItem.Data is null ? RetryAfter : null);
            var id = stream.Store.Keep(stream, sseItem.Data is null ? null : JsonSerializer.SerializeToUtf8Bytes(sseItem.Data, MessageType), retry);
            return ValueTask.FromResult(new SseItem<JsonRpcMessage?>(sseItem.Data, sseItem.EventType) { EventId = id, ReconnectionInterval = retry });
        }

        public ValueTask DisposeAsync()
        {
            stream.End();
            return ValueTask.CompletedTask;
        }
    }

    private sealed class Reader(EventStream stream, long after) : ISseEventStreamReader
    {
        public string SessionId => stream.SessionId;

        public string StreamId => stream.StreamId;

        public async IAsyncEnumerable<SseItem<JsonRpcMessage?>> ReadEventsAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            var mine = stream.BeginReading();
            try
            {
                // The response begins with its first event, and there may be none to redeliver: a client must not wait for the next one to learn that it was heard.
                yield return new SseItem<JsonRpcMessage?>(null, Priming) { EventId = stream.IdOf(after), ReconnectionInterval = RetryAfter };
                var position = after;
                while (stream.After(position, mine) is { Events: { } events } now)
                {
                    foreach (var one in events)
                    {
                        position = one.Sequence;
                        var message = one.Data is null ? null : JsonSerializer.Deserialize(one.Data, MessageType);
                        yield return new SseItem<JsonRpcMessage?>(message, message is null ? Priming : SseParser.EventTypeDefault) { EventId = stream.IdOf(one.Sequence), ReconnectionInterval = one.Retry };
                    }
                    if (events.Count > 0)
                    {
                        continue;
                    }
                    if (now.IsOver)
                    {
                        yield break;
                    }
                    await now.Changed.WaitAsync(cancellationToken);
                }
            }
            finally
            {
                stream.EndReading(mine);
            }
        }
    }
}
