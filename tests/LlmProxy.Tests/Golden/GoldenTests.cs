using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Tests.Recorded;
using LlmProxy.Translation;
using Microsoft.AspNetCore.Http;
using TestSupport;

namespace LlmProxy.Tests.Golden;

/// <summary>
/// What becomes of requests, streams and errors between each two dialects, in files that can be read side by side: <c>CASE/FROM-to-TO.KIND</c>. Where a file is not what
/// the code makes, its test fails; with the variable GATEWAY_REGENERATE set to 1 the files are written anew.
/// </summary>
public sealed class GoldenTests
{
    private static readonly string Folder = Path.Combine(RepositoryFolder.Root, "tests", "LlmProxy.Tests", "Golden");

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonSerializerOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static TheoryData<string, string, string> Requests => Pairs("text", "tools", "parallel-tools", "image", "reasoning-tools", "structured-output");

    public static TheoryData<string, string, string> Streams => Pairs("text", "tools", "parallel-tools", "tool-no-args", "reasoning-tools", "structured-output", "failing", "cut");

    public static TheoryData<string, string, string> Errors => Pairs("error");

    /// <summary>What the client sent in one dialect, as the provider of another receives it.</summary>
    [Theory]
    [MemberData(nameof(Requests))]
    public void Request_Pair_IsAsRecorded(string name, string from, string to)
    {
        using var request = JsonDocument.Parse(RecordedTraffic.Find(from, name + ".request.json").Read());
        var (provider, model) = TargetOf(to);
        var (refusal, output, dropped) = RequestRoundTripTests.Translate(from, to, JsonSerializer.SerializeToUtf8Bytes(request, Compact), provider, model);
        var text = new StringBuilder();
        text.Append("{\n  \"dropped\": ").Append(JsonSerializer.Serialize(dropped.Names, Compact)).Append(",\n");
        text.Append(refusal is null
            ? $"  \"request\": {JsonSerializer.Serialize(JsonDocument.Parse(output).RootElement, Indented).ReplaceLineEndings("\n").Replace("\n", "\n  ", StringComparison.Ordinal)}\n}}\n"
            : $"  \"refused\": {JsonSerializer.Serialize(refusal, Indented)}\n}}\n");

        Check(name, $"{from}-to-{to}.request.json", text.ToString());
    }

    /// <summary>What a provider of one dialect streamed, as the client of another receives it.</summary>
    [Theory]
    [MemberData(nameof(Streams))]
    public void Stream_Pair_IsAsRecorded(string name, string from, string to)
    {
        var traffic = RecordedTraffic.Find(from, name == "failing" ? "failing.error.chunks.txt" : name + ".chunks.txt");
        var (source, target) = (TrafficRows.DialectOf(from), TrafficRows.DialectOf(to));
        var output = new ArrayBufferWriter<byte>();
        var dropped = new DropReport();
        var encoder = target.NewEncoder(new AnswerContext { Request = Replay.AnyRequest(target, stream: true), RequestedModel = "asked", Stream = true, RequestId = "req-1", Now = 1_760_000_000, Dropped = dropped }, output);
        var sink = new CheckedSink(encoder);
        var status = Replay.Decode(source, traffic.ContentType, traffic.Read(), [], source.NewDecoder(), sink);
        if (status == StreamStatus.Truncated)
        {
            encoder.Fail(new AnswerError(502, "server", "upstream_stream_broken", "The model's provider broke the stream off before the answer was complete."));
        }
        var text = new StringBuilder();
        text.Append("# ").Append(status).Append("; dropped: ").AppendJoin(", ", dropped.Names.DefaultIfEmpty("nothing")).Append('\n');
        text.Append(to == RecordedTraffic.Bedrock ? AwsText(output.WrittenSpan) : Encoding.UTF8.GetString(output.WrittenSpan).ReplaceLineEndings("\n"));

        Assert.True(sink.Fault is null, $"{sink.Fault}\n{sink.Log}");
        Check(name, $"{from}-to-{to}.stream.txt", text.ToString());
    }

    /// <summary>A provider's refusal for too many requests, as the client of another dialect receives it.</summary>
    [Theory]
    [MemberData(nameof(Errors))]
    public async Task Error_Pair_IsAsRecorded(string name, string from, string to)
    {
        var error = TrafficRows.DialectOf(from).ReadError(429, RecordedTraffic.Find(from, name + ".error-429.json").Read());
        using var body = new MemoryStream();
        var context = new DefaultHttpContext { Response = { Body = body } };
        await TrafficRows.DialectOf(to).Errors.WriteAsync(context, Translator.ToGateway(error));
        var headers = context.Response.Headers.Where(header => header.Key is not "Content-Length").OrderBy(header => header.Key, StringComparer.Ordinal).Select(header => $"{header.Key}: {header.Value}\n");
        var text = $"{context.Response.StatusCode}\n{string.Concat(headers)}\n{JsonSerializer.Serialize(JsonDocument.Parse(body.ToArray()).RootElement, Indented).ReplaceLineEndings("\n")}\n";

        Check(name, $"{from}-to-{to}.error.txt", text);
    }

    /// <summary>No file is left over from a case or a dialect that is gone.</summary>
    [Fact]
    public void Files_All_AreSomeTests()
    {
        var expected = Requests.Select(row => Name(row, "request.json")).Concat(Streams.Select(row => Name(row, "stream.txt"))).Concat(Errors.Select(row => Name(row, "error.txt"))).ToHashSet(StringComparer.Ordinal);
        var found = Directory.EnumerateDirectories(Folder).SelectMany(Directory.EnumerateFiles).Select(file => Path.GetRelativePath(Folder, file).Replace('\\', '/'));

        Assert.Equal(expected.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));

        static string Name(TheoryDataRow<string, string, string> row, string kind) => $"{row.Data.Item1}/{row.Data.Item2}-to-{row.Data.Item3}.{kind}";
    }

    /// <summary>A provider of a dialect, and one of its models: some can do what others cannot.</summary>
    private static (string Provider, string Model) TargetOf(string dialect) => dialect switch
    {
        RecordedTraffic.Anthropic => ("anthropic", "claude-sonnet-4-5"),
        RecordedTraffic.Gemini => ("gemini", "gemini-3-pro-preview"),
        RecordedTraffic.Bedrock => ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        _ => ("openai", "gpt-5.1"),
    };

    private static TheoryData<string, string, string> Pairs(params string[] cases)
    {
        var rows = new TheoryData<string, string, string>();
        var known = RecordedTraffic.Dialects.Where(id => KnownDialects.Find(id) is not null).ToList();
        foreach (var name in cases)
        {
            foreach (var from in known)
            {
                foreach (var to in known)
                {
                    rows.Add(name, from, to);
                }
            }
        }
        return rows;
    }

    private static void Check(string name, string file, string text)
    {
        var path = Path.Combine(Folder, name, file);
        if (Environment.GetEnvironmentVariable("GATEWAY_REGENERATE") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, text);
        }
        Assert.True(File.Exists(path), $"{name}/{file} is missing; set GATEWAY_REGENERATE to 1 to write it.");
        Assert.Equal(File.ReadAllText(path), text);
    }

    /// <summary>Messages of AWS's encoding as text: a line for the headers, one for the payload.</summary>
    private static string AwsText(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        while (bytes.Length >= 16)
        {
            var (total, length) = (BinaryPrimitives.ReadInt32BigEndian(bytes), BinaryPrimitives.ReadInt32BigEndian(bytes[4..]));
            var headers = bytes.Slice(12, length);
            while (!headers.IsEmpty)
            {
                var name = Encoding.UTF8.GetString(headers.Slice(1, headers[0]));
                headers = headers[(headers[0] + 2)..];
                var size = BinaryPrimitives.ReadUInt16BigEndian(headers);
                text.Append(name).Append('=').Append(Encoding.UTF8.GetString(headers.Slice(2, size))).Append(' ');
                headers = headers[(size + 2)..];
            }
            text.Append('\n').Append(Encoding.UTF8.GetString(bytes[(12 + length)..(total - 4)])).Append("\n\n");
            bytes = bytes[total..];
        }
        return bytes.IsEmpty ? text.ToString() : text.Append("and ").Append(bytes.Length).Append(" bytes that are no message\n").ToString();
    }
}
