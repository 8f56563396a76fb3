using System.Net.ServerSentEvents;
using System.Text.Json.Nodes;
using McpHub.Serving;
using Microsoft.Extensions.Time.Testing;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpHub.Tests.Serving;

#pragma warning disable MCP9006 // As in the code under test.

public sealed class EventStoreTests : IDisposable
{
    private readonly FakeTimeProvider clock = new();
    private readonly EventStore store;

    public EventStoreTests() => store = new EventStore(clock);

    public void Dispose() => store.Dispose();

    [Fact]
    public async Task Events_AfterTheLastOneSeen_ComeOnceInOrder()
    {
        await using var writer = await NewStreamAsync("s1", "7");
        var priming = await writer.WriteEventAsync(new SseItem<JsonRpcMessage?>(null, "prime"), TestContext.Current.CancellationToken);
        var ids = new List<string>();
        for (var i = 1; i <= 5; i++)
        {
            ids.Add(await WriteAsync(writer, $"m{i}"));
        }
        await writer.DisposeAsync();

        Assert.Equal(EventStore.RetryAfter, priming.ReconnectionInterval);
        Assert.Equal(["m1", "m2", "m3", "m4", "m5"], await ReadAsync(priming.EventId!));
        Assert.Equal(["m4", "m5"], await ReadAsync(ids[2]));
        Assert.Empty(await ReadAsync(ids[4]));
        Assert.Equal(6, ids.Append(priming.EventId).Distinct().Count());
    }

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData("nonsense")]
    [InlineData("0123456789abcdef-1")]
    [InlineData("{id}-999")]
    [InlineData("{id}--1")]
    [InlineData("{id}-1x")]
    [InlineData("{id}-99999999999999999999")]
    public async Task Id_OfNothing_IsUnknown(string id)
    {
        await using var writer = await NewStreamAsync("s1", "7");
        var known = await WriteAsync(writer, "m");

        Assert.Null(await store.GetStreamReaderAsync(id.Replace("{id}", known.Split('-')[0], StringComparison.Ordinal), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Reader_WaitsForWhatIsStillToCome_UntilThePlaceIsTaken()
    {
        await using var writer = await NewStreamAsync("s1", "7");
        var first = await WriteAsync(writer, "m1");
        var reader = (await store.GetStreamReaderAsync(first, TestContext.Current.CancellationToken))!;
        Assert.Equal(("s1", "7"), (reader.SessionId, reader.StreamId));
        await using var events = reader.ReadEventsAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await events.MoveNextAsync());
        Assert.Equal((null, first), (events.Current.Data, events.Current.EventId));
        var next = events.MoveNextAsync().AsTask();
        Assert.False(next.IsCompleted);
        Assert.True(store.IsRead("s1", "7"));

        await WriteAsync(writer, "m2");
        Assert.True(await next.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        Assert.Equal("m2", MethodOf(events.Current.Data!));

        // Whoever comes later reads in its place: no event goes to two.
        next = events.MoveNextAsync().AsTask();
        await using var later = (await store.GetStreamReaderAsync(first, TestContext.Current.CancellationToken))!.ReadEventsAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await later.MoveNextAsync());
        Assert.False(await next.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Polling_EndsWithWhatThereIs()
    {
        await using var writer = await NewStreamAsync("s1", "7");
        var first = await WriteAsync(writer, "m1");
        await WriteAsync(writer, "m2");
        await writer.SetModeAsync(SseEventStreamMode.Polling, TestContext.Current.CancellationToken);

        Assert.Equal(["m2"], await ReadAsync(first));
    }

    [Fact]
    public async Task OneSession_TakesNoMoreThanItsShare_AndNothingOfOthers()
    {
        await using var other = await NewStreamAsync("s2", "1");
        var kept = await WriteAsync(other, "kept");
        await WriteAsync(other, "kept too");
        await using var writer = await NewStreamAsync("s1", "1");
        var first = await WriteAsync(writer, "first");
        string last = first;
        for (var i = 0; i < 100; i++)
        {
            last = await WriteAsync(writer, "m", new string('x', 100_000));
        }

        Assert.InRange(store.Bytes, 1, EventStore.MaxSessionBytes + 4096);
        Assert.Null(await store.GetStreamReaderAsync(first, TestContext.Current.CancellationToken));
        Assert.NotNull(await store.GetStreamReaderAsync(last, TestContext.Current.CancellationToken));
        await other.DisposeAsync();
        Assert.Equal(["kept too"], await ReadAsync(kept));
    }

    [Fact]
    public async Task AllSessions_TakeNoMoreThanThereIs_TheOldestGoFirst()
    {
        var ids = new List<string>();
        for (var session = 0; session < 40; session++)
        {
            await using var writer = await NewStreamAsync($"s{session}", "1");
            ids.Add(await WriteAsync(writer, "m", new string('x', 3_000_000)));
        }

        Assert.InRange(store.Bytes, 1, EventStore.MaxBytes);
        Assert.Null(await store.GetStreamReaderAsync(ids[0], TestContext.Current.CancellationToken));
        Assert.NotNull(await store.GetStreamReaderAsync(ids[^1], TestContext.Current.CancellationToken));
        Assert.InRange(store.Streams, 1, 23);
    }

    [Fact]
    public async Task OneEventLargerThanAll_IsNotKept_AndTheStreamGoesOn()
    {
        await using var writer = await NewStreamAsync("s1", "1");
        var large = await WriteAsync(writer, "m", new string('x', (int)EventStore.MaxSessionBytes + 1));
        var next = await WriteAsync(writer, "next");
        await writer.DisposeAsync();

        Assert.InRange(store.Bytes, 1, 4096);
        Assert.Equal(["next"], await ReadAsync(large));
        Assert.Empty(await ReadAsync(next));
    }

    [Fact]
    public async Task StreamsWithoutEvents_AreBoundedToo()
    {
        for (var i = 0; i < 20_000; i++)
        {
            await using var writer = await NewStreamAsync("s1", $"{i}");
            await WriteAsync(writer, "m");
        }

        Assert.InRange(store.Streams, 1, 10_000);
        Assert.InRange(store.Bytes, 1, EventStore.MaxSessionBytes + 4096);
    }

    [Fact]
    public async Task Age_TakesEventsAndOverStreams_NotThoseInUse()
    {
        await using var open = await NewStreamAsync("s1", "1");
        var old = await WriteAsync(open, "old");
        await using (var over = await NewStreamAsync("s1", "2"))
        {
            await WriteAsync(over, "over");
        }

        clock.Advance(EventStore.MaxAge + TimeSpan.FromMinutes(1));

        Assert.Equal(1, store.Streams);
        var fresh = await WriteAsync(open, "fresh");
        await open.DisposeAsync();
        Assert.Equal(["fresh"], await ReadAsync(old));
        Assert.Empty(await ReadAsync(fresh));
    }

    [Fact]
    public async Task SessionForgotten_LeavesNothing()
    {
        await using var writer = await NewStreamAsync("s1", "1");
        var id = await WriteAsync(writer, "m");
        var reading = ReadAsync(id);

        store.Forget("s1");

        Assert.Empty(await reading.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        Assert.Equal((0, 0L), (store.Streams, store.Bytes));
        Assert.NotNull(await WriteAsync(writer, "goes on unkept"));
        Assert.Equal((0, 0L), (store.Streams, store.Bytes));
    }

    [Fact]
    public async Task ManyAtOnce_KeepTheBooks()
    {
        await Parallel.ForAsync(0, 16, TestContext.Current.CancellationToken, async (thread, _) =>
        {
            for (var i = 0; i < 300; i++)
            {
                await using var writer = await NewStreamAsync($"s{thread % 4}", $"{thread}-{i}");
                var id = await WriteAsync(writer, "m", new string('x', 20_000));
                await WriteAsync(writer, "n", new string('x', 20_000));
                if (i % 50 == 0)
                {
                    store.Forget($"s{(thread + 1) % 4}");
                }
                await writer.DisposeAsync();
                await ReadAsync(id);
            }
        });
        for (var i = 0; i < 4; i++)
        {
            store.Forget($"s{i}");
        }

        Assert.Equal((0, 0L), (store.Streams, store.Bytes));
    }

    private ValueTask<ISseEventStreamWriter> NewStreamAsync(string session, string stream) =>
        store.CreateStreamAsync(new SseEventStreamOptions { SessionId = session, StreamId = stream, Mode = SseEventStreamMode.Streaming }, TestContext.Current.CancellationToken);

    private static async Task<string> WriteAsync(ISseEventStreamWriter writer, string method, string? text = null)
    {
        var message = new JsonRpcNotification { Method = method, Params = text is null ? null : new JsonObject { ["text"] = text } };
        return (await writer.WriteEventAsync(new SseItem<JsonRpcMessage?>(message, "message"), TestContext.Current.CancellationToken)).EventId!;
    }

    private async Task<List<string>> ReadAsync(string after)
    {
        var methods = new List<string>();
        if (await store.GetStreamReaderAsync(after, TestContext.Current.CancellationToken) is { } reader)
        {
            await foreach (var item in reader.ReadEventsAsync(TestContext.Current.CancellationToken))
            {
                if (item.Data is not null)
                {
                    methods.Add(MethodOf(item.Data));
                }
            }
        }
        return methods;
    }

    private static string MethodOf(JsonRpcMessage message) => ((JsonRpcNotification)message).Method;
}
