using System.Net;
using LlmProxy.Tests.Hosting;
using LlmProxy.Tests.Media;
using TestSupport;

namespace LlmProxy.Tests.Usage;

/// <summary>A picture of 20 MB in a relayed request.</summary>
public sealed class LargePictureTests
{
    [Theory]
    [InlineData(RecordedTraffic.OpenAiChat)]
    [InlineData(RecordedTraffic.OpenAiResponses)]
    [InlineData(RecordedTraffic.Anthropic)]
    public async Task Relay_TwentyMegabytes_AreHeldOnce(string dialect)
    {
        var answer = Vendor.Answer(dialect, """{"input_tokens":12,"output_tokens":3,"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}""", null, 0);
        await using var upstream = await Sink.StartAsync(answer);
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var setup = Vendor.Setup(fake, dialect);
        await using var host = await ProxyHost.StartAsync(setup with { Providers = [setup.Providers[0] with { BaseAddress = upstream.BaseAddress }] });
        var picture = new string('A', 20_000_000);
        var body = dialect switch
        {
            RecordedTraffic.OpenAiChat => $$$"""{"model":"small","max_completion_tokens":50,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,{{{picture}}}"}}]}]}""",
            RecordedTraffic.OpenAiResponses => $$"""{"model":"small","store":false,"max_output_tokens":50,"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,{{picture}}"}]}]}""",
            _ => $$$"""{"model":"small","max_tokens":50,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"{{{picture}}}"}}]}]}""",
        };

        using var response = await host.PostAsync(body, path: Vendor.PathOf(dialect, stream: false));

        Assert.Equal((HttpStatusCode.OK, answer), (response.StatusCode, await response.TextAsync()));
        await host.RequestEndedAsync();
        Assert.Equal(body.Length, upstream.Received);
        // The body and the answer, each once.
        Assert.InRange(host.Memory.Peak, body.Length, body.Length + 10_000);
        Assert.Equal(0, host.Memory.Held);
    }
}
