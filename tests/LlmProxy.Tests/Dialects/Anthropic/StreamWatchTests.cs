using LlmProxy.Relay;
using Shared.Pricing;

namespace LlmProxy.Tests.Dialects.Anthropic;

public sealed class StreamWatchTests
{
    private const string Start = """{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":100},"output_tokens":1,"service_tier":"standard"}}}""";
    private const string Begin = """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""";
    private const string Delta = """{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}""";
    private const string Stop = """{"type":"content_block_stop","index":0}""";
    private const string End = """{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":20,"output_tokens_details":{"thinking_tokens":15}}}""";
    private const string Last = """{"type":"message_stop"}""";
    private const string Ping = """{"type":"ping"}""";

    [Fact]
    public void Read_WholeStream_FindsUsageAndEnd()
    {
        var watch = Wire.Watch(Wire.Events(Start, Begin, Ping, Delta, Stop, End, Last), out var kinds);

        Assert.Equal([ChunkKind.Lifecycle, ChunkKind.Content, ChunkKind.Lifecycle, ChunkKind.Content, ChunkKind.Lifecycle, ChunkKind.Content, ChunkKind.Done], kinds);
        Assert.Equal(new TokenUsage { Input = 10, CacheWrite1h = 100, CacheRead = 1000, Output = 5, Reasoning = 15 }, watch.Usage);
        Assert.True(watch.Finished);
        Assert.Equal("standard", watch.ServiceTier);
        Assert.Null(watch.Model);
    }

    [Fact]
    public void Read_NamesLeftOut_GoesByTheDataAlone()
    {
        var events = Wire.Events(Start, Begin, Delta, Stop, End, Last);
        var watch = Wire.Watch(string.Join('\n', events.Split('\n').Where(line => !line.StartsWith("event:", StringComparison.Ordinal))), out var kinds);

        Assert.Equal(ChunkKind.Done, kinds[^1]);
        Assert.Equal(20, watch.Usage!.Value.TotalOutput);
    }

    [Fact]
    public void Read_PingsBeforeContent_TheSecondIsLetThrough()
    {
        Wire.Watch(Wire.Events(Start, Ping, Ping), out var kinds);

        Assert.Equal([ChunkKind.Lifecycle, ChunkKind.Lifecycle, ChunkKind.Content], kinds);
    }

    [Fact]
    public void Read_ThinkingBegins_IsContent()
    {
        Wire.Watch(Wire.Events(Start, """{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"""), out var kinds);

        Assert.Equal(ChunkKind.Content, kinds[^1]);
    }

    [Theory]
    [InlineData("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n", nameof(ChunkKind.Error))]
    [InlineData("data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n", nameof(ChunkKind.Error))]
    [InlineData("event: of_the_future\ndata: {\"type\":\"of_the_future\"}\n\n", nameof(ChunkKind.Lifecycle))]
    [InlineData("data: [DONE]\n\n", nameof(ChunkKind.Lifecycle))]
    [InlineData("data: {\"choices\":[]}\n\n", nameof(ChunkKind.Garbage))]
    [InlineData("data: <html>\n\n", nameof(ChunkKind.Garbage))]
    [InlineData("data: {\"type\":\"message_stop\"\n\n", nameof(ChunkKind.Garbage))]
    [InlineData("data: {\"type\":\"message_start\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}}\n\n", nameof(ChunkKind.Content))]
    public void Read_OneEvent_IsToldApart(string events, string kind)
    {
        Wire.Watch(events, out var kinds);

        Assert.Equal(kind, Assert.Single(kinds).ToString());
    }

    [Fact]
    public void LastEvent_StreamThatLacksIt_IsItsDialects()
    {
        var watch = Wire.Watch(Wire.Events(Start, Begin, Delta, Stop, End), out _);

        Assert.True(watch.Finished);
        Assert.Equal("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"u8, watch.LastEvent);
        Assert.True(watch.IsLastData("""{"type":"message_stop"}"""u8));
        Assert.False(watch.IsLastData("""{"type":"message_st"""u8));
    }

    [Fact]
    public void Usage_InputOnlyAtTheEnd_IsTaken()
    {
        var watch = Wire.Watch(Wire.Events(
            """{"type":"message_start","message":{"model":"other","usage":{"input_tokens":0,"output_tokens":0}}}""",
            """{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":61,"cache_read_input_tokens":5,"output_tokens":2}}"""), out _);

        Assert.Equal(new TokenUsage { Input = 61, CacheRead = 5, Output = 2 }, watch.Usage);
        Assert.Equal("other", watch.Model);
    }

    [Fact]
    public void Usage_ServerToolsWriteOnToTheCache_WhatIsBeyondTheBreakdownCountsByItsTimeToLive()
    {
        // message_start breaks 100 tokens down; the tools' loops write 250 more, and only the total says so.
        var hour = Wire.Watch(Wire.Events(Start, """{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"cache_creation_input_tokens":350,"output_tokens":2,"server_tool_use":{"web_search_requests":2}}}"""), out _);
        var minutes = Wire.Watch(Wire.Events(
            """{"type":"message_start","message":{"model":"claude","usage":{"input_tokens":1,"cache_creation_input_tokens":150,"cache_creation":{"ephemeral_5m_input_tokens":50,"ephemeral_1h_input_tokens":100},"output_tokens":1}}}""",
            """{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"cache_creation_input_tokens":350,"output_tokens":2}}"""), out _);

        Assert.Equal(350, hour.Usage!.Value.CacheWrite1h);
        Assert.Equal(0, hour.Usage!.Value.CacheWrite);
        Assert.Equal(100, minutes.Usage!.Value.CacheWrite1h);
        Assert.Equal(250, minutes.Usage!.Value.CacheWrite);
    }

    [Fact]
    public void Usage_Iterations_AddWhatIsInNoTotal()
    {
        var watch = Wire.Watch(Wire.Events(Start, """
            {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":612,"cache_creation_input_tokens":30,"cache_read_input_tokens":0,"output_tokens":2819,"iterations":[
              {"type":"compaction","input_tokens":60385,"output_tokens":522,"cache_read_input_tokens":7,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}},
              {"type":"message","input_tokens":612,"output_tokens":2819,"cache_read_input_tokens":0,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}]}}
            """.ReplaceLineEndings("")), out _);

        Assert.Equal(new TokenUsage { Input = 60997, CacheRead = 7, CacheWrite = 10, CacheWrite1h = 20, Output = 3341 }, watch.Usage);
    }

    [Fact]
    public void TryReadAnswer_Messages_AreToldFromErrorsAndGarbage()
    {
        Assert.True(Wire.Dialect.TryReadAnswer("""{"type":"message","model":"claude","content":[],"usage":{"input_tokens":3,"output_tokens":4,"service_tier":"priority"}}"""u8, "claude", out var facts));
        Assert.Equal(new TokenUsage { Input = 3, Output = 4 }, facts.Usage);
        Assert.Equal("priority", facts.ServiceTier);
        Assert.False(facts.IsError);
        Assert.True(Wire.Dialect.TryReadAnswer("""{"type":"error","error":{"type":"api_error","message":"x"}}"""u8, "claude", out facts));
        Assert.True(facts.IsError);
        Assert.False(Wire.Dialect.TryReadAnswer("""{"type":"message","content":["""u8, "claude", out _));
    }

    [Theory]
    [InlineData("fast", "fast")]
    [InlineData("standard", "standard")]
    public void Usage_Speed_IsATier(string speed, string tier)
    {
        var watch = Wire.Watch(Wire.Events("{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"service_tier\":\"standard\",\"speed\":\"" + speed + "\"}}}"), out _);

        Assert.Equal(tier, watch.ServiceTier);
    }
}
