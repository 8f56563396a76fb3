using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Usage;
using TestSupport;

namespace LlmProxy.Tests.Dialects.OpenAiChat;

/// <summary>What single providers say in places of their own is read right, be the answer translated or only watched.</summary>
public sealed class ProviderFormsTests
{
    /// <summary>File; input, cache read, output and reasoning tokens; text; thoughts; addresses and titles of sources.</summary>
    public static TheoryData<string, long[], string, string, string> Streams => new()
    {
        { "usage-only-in-x-groq.chunks.txt", [13, 8, 3, 0], "Fast.", "", "" },
        { "usage-in-x-groq.chunks.txt", [21, 0, 3, 0], "Fast.", "", "" },
        { "cache-hit-tokens.chunks.txt", [36, 64, 3, 6], "Yes.", "Hm.", "" },
        { "sources.chunks.txt", [7, 0, 4, 0], "Blue [1][2].", "", "https://example.com/a A, https://example.com/b B" },
        { "thinking-in-content.chunks.txt", [8, 0, 12, 0], "4", "Two and two make four.", "" },
        { "reasoning-details.chunks.txt", [], "", "", "" },
    };

    [Theory]
    [MemberData(nameof(Streams))]
    public void Stream_IsReadRight(string file, long[] tokens, string text, string thoughts, string sources)
    {
        var events = Lines(file);
        var sink = new Collected();
        var (decoder, watch) = (new LlmProxy.Dialects.OpenAiChat.ChatAnswerDecoder(), new ChatStreamWatch("m-w"));
        var status = StreamStatus.Open;
        foreach (var data in events)
        {
            status = decoder.Read(default, Encoding.UTF8.GetBytes(data), sink);
            watch.Read(default, Encoding.UTF8.GetBytes(data));
        }

        Assert.Equal(StreamStatus.Completed, status);
        if (tokens.Length == 0)
        {
            Assert.NotEqual("", sink.Thoughts); // its usage is the subject of others
            return;
        }
        Assert.Equal((text, thoughts, sources), (sink.Text, sink.Thoughts, string.Join(", ", sink.Sources)));
        Assert.Equal(tokens, (long[])[decoder.Usage!.Value.Input, decoder.Usage.Value.CacheRead, decoder.Usage.Value.Output, decoder.Usage.Value.Reasoning]);
        Assert.Equal(decoder.Usage, watch.Usage);
    }

    [Theory]
    [InlineData("sources.json", new long[] { 7, 0, 4, 0 }, "Blue [1][2].", "", "https://example.com/a , https://example.com/b ")]
    [InlineData("reasoning-beyond-completion.json", new long[] { 26, 6, 9, 94 }, "4", "Two and two.", "")]
    public void Answer_IsReadRight(string file, long[] tokens, string text, string thoughts, string sources)
    {
        var body = Encoding.UTF8.GetBytes(Lines(file)[0]);
        var sink = new Collected();
        var decoder = new LlmProxy.Dialects.OpenAiChat.ChatAnswerDecoder();

        Assert.Equal(StreamStatus.Completed, decoder.ReadComplete(body, sink));
        Assert.True(CompletionReader.TryRead(body, EndpointFamily.Chat, "m-w", out var facts));

        Assert.Equal((text, thoughts, sources), (sink.Text, sink.Thoughts, string.Join(", ", sink.Sources)));
        Assert.Equal(tokens, (long[])[decoder.Usage!.Value.Input, decoder.Usage.Value.CacheRead, decoder.Usage.Value.Output, decoder.Usage.Value.Reasoning]);
        Assert.Equal(decoder.Usage, facts.Usage);
    }

    private static string[] Lines(string file) => File.ReadAllLines(Path.Combine(RepositoryFolder.Root, "tests", "fixtures", "written", "openai-chat", file));

    private sealed class Collected : IAnswerSink
    {
        private readonly Dictionary<int, BlockKind> kinds = [];

        public string Text { get; private set; } = "";

        public string Thoughts { get; private set; } = "";

        public List<string> Sources { get; } = [];

        public void Start(in AnswerStart start)
        {
        }

        public void BeginBlock(int block, in BlockStart start) => kinds[block] = start.Kind;

        public void Delta(int block, ReadOnlySpan<byte> text)
        {
            var said = JsonSerializer.Deserialize<string>(text);
            if (kinds[block] == BlockKind.Text)
            {
                Text += said;
            }
            else
            {
                Thoughts += said;
            }
        }

        public void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
        {
        }

        public void Citation(int block, NeutralCitation citation)
        {
            Assert.Equal(BlockKind.Text, kinds[block]);
            Sources.Add($"{citation.Url} {citation.Title}");
        }

        public void LogProbs(int block, ReadOnlySpan<byte> raw)
        {
        }

        public void EndBlock(int block)
        {
        }

        public void Usage(in AnswerUsage usage)
        {
        }

        public void Finish(in AnswerFinish finish)
        {
        }

        public void Extension(string path, ReadOnlySpan<byte> raw)
        {
        }

        public void Ping()
        {
        }

        public void End()
        {
        }

        public void Fail(AnswerError error) => Assert.Fail(error.Message);
    }
}
