using System.Diagnostics;
using System.Text;
using LlmProxy.ChatCompletions;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Tests.Hosting;
using Microsoft.AspNetCore.Http;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Tests;

/// <summary>Each edit of the closed list, as offset, length and replacement.</summary>
public sealed class BodyEditsTests
{
    public static TheoryData<string, long?, string[]> Edits => new()
    {
        { """{"model":"other","stream":false}""", null, [] },
        { """{"model": "fake/m" }""", null, ["""10+8="m" """] },
        { """{"model":"fake/m","stream":true}""", null, ["""9+8="m" """, """17+0=,"stream_options":{"include_usage":true}"""] },
        { """{"model":"fake/m","stream":true,"stream_options":null}""", null, ["""9+8="m" """, """49+4={"include_usage":true}"""] },
        { """{"stream_options":{"include_usage":false},"stream":true,"model":"fake/m"}""", null, ["""35+5=true""", """64+8="m" """] },
        { """{"model":"fake/m"}""", 64, ["""9+8="m" """, """17+0=,"max_completion_tokens":64"""] },
        { """{"model":"fake/m","max_completion_tokens":null}""", 64, ["""9+8="m" """, "42+4=64"] },
        { """{"model":"fake/m","max_completion_tokens":99}""", 64, ["""9+8="m" """, "42+2=64"] },
        { """{"model":"fake/m","max_tokens" : 9}""", 9, ["""9+8="m" """, """18+12="max_completion_tokens" """] },
        { """{"model":"fake/m","max_\u0074okens" : 99}""", 64, ["""9+8="m" """, """18+17="max_completion_tokens" """, "38+2=64"] },
    };

    [Theory]
    [MemberData(nameof(Edits))]
    public async Task For_Request_EditsAreExactlyThese(string body, long? limit, string[] expected)
    {
        var egress = TestSupport.TestEgress.NewPolicy();
        using var clients = new ProviderClients(egress);
        var setup = new ProxySetup
        {
            Providers = [new Provider { Id = "fake", Dialect = "openai-chat", BaseAddress = new Uri("http://127.0.0.1:1/v1"), Origin = "test" }],
            Routes = [new Route { Name = "other", Targets = [new Target("fake", "other")] }],
        };
        var snapshot = ProxyHost.Snapshot(setup, [new RouteTableCompiler(clients, new RequestAuthorizers(egress, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<RequestAuthorizers>.Instance), new TargetPipelines(TimeProvider.System))]);
        var entry = snapshot.Part<RouteTable>().Find(body.Contains("other", StringComparison.Ordinal) ? "other" : "fake/m")!;
        var bytes = Encoding.UTF8.GetBytes(body);
        Assert.Null(RequestScanner.Scan(bytes, EndpointFamily.Chat, out var fields));
        var (pooled, _) = await PooledBody.ReadAsync(new MemoryStream(bytes), null, new BodyMemory(1 << 20), 1 << 20, TestContext.Current.CancellationToken);
        using var held = pooled!;
        var request = new GatewayRequest("r", snapshot, ActivityTraceId.CreateRandom()) { TraceParent = ProxyHost.TraceParent };
        var call = new ChatCall(new DefaultHttpContext(), request, held, entry, [entry.Targets[0]], fields);

        var edits = BodyEdits.For(call, entry.Targets[0], limit);
        using var content = new SplicedContent(held.Bytes, edits);
        var written = await content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);

        Assert.Equal(expected.Select(edit => edit.TrimEnd()), Describe(edits));
        Assert.Equal(written.Length, content.Headers.ContentLength);
        Assert.Equal(Apply(body, edits), Encoding.UTF8.GetString(written));
    }

    private static List<string> Describe(EditList edits)
    {
        var described = new List<string>();
        foreach (var edit in edits.Edits)
        {
            described.Add($"{edit.Offset}+{edit.Length}={Encoding.UTF8.GetString(edit.Replacement.Span)}");
        }
        return described;
    }

    private static string Apply(string body, EditList edits)
    {
        for (var i = edits.Count - 1; i >= 0; i--)
        {
            body = body.Remove(edits[i].Offset, edits[i].Length).Insert(edits[i].Offset, Encoding.UTF8.GetString(edits[i].Replacement.Span));
        }
        return body;
    }
}
