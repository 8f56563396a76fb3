using System.Text.Json;
using ModelContextProtocol.Protocol;

namespace ConformanceServer;

/// <summary>What is listed.</summary>
internal static class Definitions
{
    private static readonly JsonElement NoArguments = Parse("""{"type":"object","properties":{}}""");

    public static IReadOnlyList<Tool> All { get; } =
    [
        .. Plain("test_simple_text", "test_image_content", "test_audio_content", "test_embedded_resource", "test_multiple_content_types", "test_tool_with_logging", "test_logging_tool", "test_tool_with_progress",
            "test_error_handling", "test_elicitation_sep1034_defaults", "test_elicitation_sep1330_enums", "test_reconnection", "test_missing_capability", "test_streaming_elicitation", "test_trigger_tool_change",
            "test_trigger_prompt_change", "test_input_required_result_elicitation", "test_input_required_result_sampling", "test_input_required_result_list_roots", "test_input_required_result_request_state",
            "test_input_required_result_multiple_inputs", "test_input_required_result_multi_round", "test_input_required_result_tampered_state", "test_input_required_result_capabilities"),
        With("test_sampling", """{"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]}"""),
        With("test_elicitation", """{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}"""),
        With("test_custom_headers", """{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"priority":{"type":"integer","x-mcp-header":"Priority"},"verbose":{"type":"boolean","x-mcp-header":"Verbose"},"query":{"type":"string"}},"required":["region"]}"""),
        With("json_schema_2020_12_tool", """
            {"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},
            "properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},
            "allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},
            "additionalProperties":false}
            """),
    ];

    public static IReadOnlyList<Prompt> Prompts { get; } =
    [
        new Prompt { Name = "test_simple_prompt", Description = "A prompt without arguments" },
        new Prompt { Name = "test_prompt_with_arguments", Description = "A prompt with arguments", Arguments = [Argument("arg1"), Argument("arg2")] },
        new Prompt { Name = "test_prompt_with_embedded_resource", Description = "A prompt with a resource", Arguments = [Argument("resourceUri")] },
        new Prompt { Name = "test_prompt_with_image", Description = "A prompt with an image" },
        new Prompt { Name = "test_input_required_result_prompt", Description = "A prompt that asks first" },
    ];

    public static IReadOnlyList<Resource> Resources { get; } =
    [
        new Resource { Uri = "test://static-text", Name = "Static text", Description = "A text", MimeType = "text/plain" },
        new Resource { Uri = "test://static-binary", Name = "Static binary", Description = "An image", MimeType = "image/png" },
        new Resource { Uri = "test://watched-resource", Name = "Watched", Description = "A resource to subscribe to", MimeType = "text/plain" },
    ];

    private static PromptArgument Argument(string name) => new() { Name = name, Description = $"The argument {name}", Required = true };

    private static IEnumerable<Tool> Plain(params string[] names) => names.Select(name => new Tool { Name = name, Description = $"The suite's {name}", InputSchema = NoArguments });

    private static Tool With(string name, string schema) => new() { Name = name, Description = $"The suite's {name}", InputSchema = Parse(schema) };

    private static JsonElement Parse(string json) => JsonDocument.Parse(json).RootElement;
}
