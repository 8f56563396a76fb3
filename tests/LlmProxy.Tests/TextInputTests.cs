using System.Globalization;
using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Routing;

namespace LlmProxy.Tests;

/// <summary>The input's bound is never less than what the worst tokenizer makes of it: a token for each byte of a text or each number, and one before and after each input.</summary>
public sealed class TextInputTests
{
    [Theory]
    [InlineData("input", 1)]
    [InlineData("prompt", 2)]
    public void Scan_AnyInput_BoundIsNoLessThanTheTokensOfTheWorstTokenizer(string member, int seed)
    {
        var family = member == "input" ? EndpointFamily.Embeddings : EndpointFamily.Completions;
        var random = new Random(seed);
        for (var round = 0; round < 2000; round++)
        {
            var input = Input(random, out var tokens);
            var body = Encoding.UTF8.GetBytes($$"""{"model":"m","{{member}}":{{input}}}""");

            var error = RequestScanner.Scan(body, family, out var fields);

            Assert.Null(error);
            var bytes = Encoding.UTF8.GetByteCount(input);
            Assert.True(bytes - fields.SpareBytes >= tokens, $"{bytes} - {fields.SpareBytes} bytes for {tokens} tokens: {input}");
            Assert.Null(fields.UnboundedMember);
        }
    }

    [Fact]
    public void Scan_TokenNumbers_BoundIsFarBelowTheirDigits()
    {
        var numbers = string.Join(',', Enumerable.Range(100_000, 1000));
        var body = Encoding.UTF8.GetBytes($$"""{"model":"m","input":[{{numbers}}]}""");

        Assert.Null(RequestScanner.Scan(body, EndpointFamily.Embeddings, out var fields));

        Assert.InRange(body.Length - fields.SpareBytes, 1002, 1002 + 24);
    }

    [Theory]
    [InlineData("\"prompt\":\"a\"", 1)]
    [InlineData("\"prompt\":[]", 1)]
    [InlineData("\"prompt\":[\"a\",\"b\"],\"n\":3", 6)]
    [InlineData("\"n\":3,\"best_of\":4,\"prompt\":[[1],[2]]", 8)]
    [InlineData("\"prompt\":[1,2,3],\"best_of\":2", 2)]
    public void Scan_Prompts_CountTimesTheirCandidates(string members, int answers)
    {
        Assert.Null(RequestScanner.Scan(Encoding.UTF8.GetBytes($$"""{"model":"m",{{members}}}"""), EndpointFamily.Completions, out var fields));

        Assert.Equal(answers, fields.Choices);
    }

    private static string Input(Random random, out long tokens)
    {
        tokens = 0;
        switch (random.Next(4))
        {
            case 0:
                return Text(random, ref tokens);
            case 1:
                return Numbers(random, ref tokens);
            case var kind:
                var items = new List<string>();
                for (var i = random.Next(1, 6); i > 0; i--)
                {
                    items.Add(kind == 2 ? Text(random, ref tokens) : Numbers(random, ref tokens));
                }
                return "[" + string.Join(random.Next(2) == 0 ? "," : " , ", items) + "]";
        }
    }

    private static string Text(Random random, ref long tokens)
    {
        var text = new StringBuilder();
        for (var i = random.Next(12); i > 0; i--)
        {
            text.Append(random.Next(5) switch { 0 => "\n", 1 => "é", 2 => "漢", 3 => "😀", _ => "a" });
        }
        tokens += Encoding.UTF8.GetByteCount(text.ToString()) + 2;
        return random.Next(2) == 0
            ? JsonSerializer.Serialize(text.ToString())
            : JsonSerializer.Serialize(text.ToString(), new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }

    private static string Numbers(Random random, ref long tokens)
    {
        var numbers = Enumerable.Range(0, random.Next(1, 20)).Select(_ => random.Next(random.Next(2) == 0 ? 10 : 200_000).ToString(CultureInfo.InvariantCulture)).ToList();
        tokens += numbers.Count + 2;
        return "[" + string.Join(random.Next(2) == 0 ? "," : ",  ", numbers) + "]";
    }
}
